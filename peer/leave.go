package peer

import (
	"context"
	"errors"

	"claudemesh/wire"
)

// Leave ends the membership of this client's member in the mesh, for all its
// sessions. The client is closed with ErrRevoked then or soon after; the caller
// removes the mesh from the configuration.
func (c *Client) Leave(ctx context.Context) error {
	_, err := Call(ctx, c, wire.LeaveMesh{})
	if !errors.Is(err, ErrLost) {
		return err
	}
	// The end of the connection may have overtaken the answer.
	for {
		changed := c.Changed()
		switch s := c.Status(); {
		case errors.Is(s.Err, ErrRevoked):
			return nil
		case s.State == StateOpen || s.State == StateClosed || s.Failures > 0:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
	}
}
