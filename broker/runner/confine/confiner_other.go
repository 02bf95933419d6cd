//go:build !linux

package confine

import "context"

// groups are there on Linux only.
type groups struct{}

// Main does nothing: this system has no cells.
func Main() {}

// New returns a Confiner that refuses all cells.
func New(context.Context, Options) *Confiner { return &Confiner{can: ability{missing: errNoCells}} }

// Close does nothing.
func (c *Confiner) Close() error { return nil }

// Command refuses.
func (c *Confiner) Command(context.Context, Cell) (*Program, error) { return nil, errNoCells }
