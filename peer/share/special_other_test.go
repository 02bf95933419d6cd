//go:build !unix

package share

import "testing"

// special puts what is no file into dir: here there is nothing like it.
func special(testing.TB, string) {}
