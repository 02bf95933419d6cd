//go:build !linux && !darwin

package cli

// hideTyping leaves it to term.ReadPassword, which hides what is typed once it
// reads.
func hideTyping(int) error { return nil }
