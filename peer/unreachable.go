package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
)

// ErrUnreachable says that no broker answered at its address.
var ErrUnreachable = errors.New("the broker cannot be reached")

// unreachable is an ErrUnreachable that says where and, in a few words, why.
// The libraries below tell the whole way down to the cause.
type unreachable struct {
	at  string // URL
	err error
}

func (e *unreachable) Error() string {
	return "cannot reach the broker at " + e.at + ": " + networkCause(e.err)
}

func (e *unreachable) Unwrap() []error { return []error{ErrUnreachable, e.err} }

// broken is the end of a connection for which the broker gave no reason.
type broken struct{ err error }

func (e *broken) Error() string { return "the connection to the broker broke: " + networkCause(e.err) }
func (e *broken) Unwrap() error { return e.err }

// ofNetwork reports whether err comes from the network rather than from an
// answer.
func ofNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// networkCause says in a few words what went wrong on the network.
func networkCause(err error) string {
	dns, ofDNS := errors.AsType[*net.DNSError](err)
	timeout, mayTime := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there"
	case ofDNS && dns.IsNotFound:
		return "there is no host called " + dns.Name
	case errors.Is(err, context.DeadlineExceeded), mayTime && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it was closed at the other end"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
