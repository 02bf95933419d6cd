package peer

import (
	"context"
	"errors"
	"time"

	"claudemesh/wire"
)

// reconnectDelays are the waits before the attempts to connect; the last one
// is repeated.
var reconnectDelays = [...]time.Duration{
	1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second,
}

const longestDelay = 30 * time.Second

// reconnectDelay returns how long to wait after the given number of failures
// in a row, the first being 0. jitter from 0 to 1 takes away up to a quarter, so
// that the clients of a broker that restarts do not come back all at once.
func reconnectDelay(failures int, patient bool, jitter float64) time.Duration {
	d := longestDelay
	if !patient && failures < len(reconnectDelays) {
		d = reconnectDelays[failures]
	}
	return d - time.Duration(jitter*float64(d)/4)
}

const (
	maxSignAnew   = 8 // attempts after the first
	signAnewDelay = 40 * time.Millisecond
)

// signAnew calls try, which signs something with the time in milliseconds and
// offers it to the broker. Processes of a member that start at once may sign
// the very same; the broker takes it from one, and the others try again after
// 1 to 40 ms, at random so that they part.
func signAnew(ctx context.Context, jitter func() float64, try func() error) error {
	err := try()
	for range maxSignAnew {
		wait := time.Millisecond + time.Duration(jitter()*float64(signAnewDelay-time.Millisecond))
		if !errors.Is(err, &wire.Error{Code: wire.Replayed}) || !sleep(ctx, wait) {
			break
		}
		err = try()
	}
	return err
}

// resendDelay returns how long to wait before a refused message is offered
// again: 0.25 s, doubled each time up to 8 s, less up to a quarter.
func resendDelay(tries int, jitter float64) time.Duration {
	d := 250 * time.Millisecond << min(tries, 5)
	return d - time.Duration(jitter*float64(d)/4)
}
