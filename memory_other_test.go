//go:build !linux

package main

// peakMemory says that this system is not asked.
func (p *process) peakMemory() (int64, bool) { return 0, false }
