//go:build !linux

package confine

import (
	"context"
	"errors"
)

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

// errNoCells is the answer of a system that is not Linux.
var errNoCells = errors.New("deployed services are confined by means of Linux, which the broker's machine does not run: lend the server from a session instead (claudemesh lend)")

// Room does not say, where there are no cells.
func Room(string) (bytes int64, known bool) { return 0, false }
