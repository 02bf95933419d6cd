//go:build !linux

package cli

// usageOf returns nothing: this system does not tell it without cgo.
func usageOf(int) Usage { return Usage{} }
