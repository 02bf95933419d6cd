package peer

import (
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"claudemesh/wire"
)

// Errors of a Client. Their texts are for people.
var (
	// ErrClosed says that the client was closed by its owner.
	ErrClosed = errors.New("the connection was closed by this program")
	// ErrNotConnected says that nothing was sent, for want of a connection.
	ErrNotConnected = errors.New("not connected to the broker")
	// ErrLost says that the connection ended before the answer came: the
	// broker may or may not have done what it was asked.
	ErrLost = errors.New("the connection to the broker was lost before it answered; it may have acted")
	// ErrTimeout says that the broker did not answer in time; it may have acted.
	ErrTimeout = errors.New("the broker did not answer in time; it may have acted")
	// ErrBusy says that too much is under way already; nothing was sent.
	ErrBusy = errors.New("too many requests at once; wait for some to finish")
	// ErrSuperseded says that a newer process took over the session.
	ErrSuperseded = errors.New("another process connected as this session and took over")
	// ErrRevoked says that the membership has ended.
	ErrRevoked = errors.New("the membership in this mesh has ended; to come back, join with a new invite")

	errDead = fmt.Errorf("the broker sent nothing for %v", wire.DeadAfter)
)

// A verdict says what follows from a failure to connect or stay connected.
type verdict int

const (
	retry   verdict = iota // with the usual back-off
	patient                // retry with the longest back-off
	refresh                // correct the clock, then retry; patient if that is done
	giveUp
)

// judge classifies err, as explain returns it.
func judge(err error) verdict {
	if errors.Is(err, ErrSuperseded) || errors.Is(err, ErrRevoked) {
		return giveUp
	}
	refusal, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return retry
	}
	switch refusal.Code {
	case wire.Unauthorized, wire.BadSignature, wire.Malformed, wire.BadRequest, wire.MeshNotFound:
		return giveUp
	case wire.TimestampSkew:
		return refresh
	case wire.Capacity:
		return patient
	}
	return retry
}

// explain turns the error that ended a connection into what it means: one of
// the errors above, a *wire.Error for a refusal, or err itself.
func explain(err error) error {
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok && ofNetwork(err) {
		return &broken{err}
	}
	if !ok {
		return err
	}
	switch closed.Code {
	case wire.CloseSuperseded:
		return ErrSuperseded
	case wire.CloseRevoked:
		return ErrRevoked
	case wire.CloseRefused:
		return wire.Errorf(wire.Code(closed.Reason), "the broker closed the connection")
	case wire.CloseShutdown:
		return errors.New("the broker is shutting down")
	case wire.CloseTooBig:
		return errTooBig
	case wire.CloseSlow:
		return errors.New("the broker gave up on this connection because it read too slowly")
	case wire.CloseDead:
		return errors.New("the broker had no answer to its pings")
	}
	return fmt.Errorf("the broker closed the connection with code %d %s", closed.Code, closed.Reason)
}

// errTooBig ends a connection for a frame that the broker does not take.
var errTooBig = errors.New("the broker refused a frame as too big")
