//go:build !unix

package share

// dontWait is nothing where an open does not wait for another end.
const dontWait = 0
