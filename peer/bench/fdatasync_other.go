//go:build !linux

package bench

import "os"

// flushData puts what was written to f on disk, in the way that Go has for
// every system.
func flushData(f *os.File) error { return f.Sync() }
