package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// lookEvery is how often a command that waits looks at its messages even if
// no receipt comes, which may have gone to another session of the member.
const lookEvery = time.Second

// steps are the delivery states in their order. A message that was given up
// goes no further.
var steps = [...]wire.DeliveryState{wire.StateQueued, wire.StateLeased, wire.StateDelivered, wire.StateSeen, wire.StateExpired}

func rank(s wire.DeliveryState) int { return slices.Index(steps[:], s) }

// await waits until all messages that went out are in the state of --wait, or
// have expired, or until the time runs out.
func (f *sendFlags) await(ctx context.Context, env *Env, c *peer.Client, results []*sentJSON) {
	var open []*sentJSON
	for _, r := range results {
		if r.MessageID != "" && r.OK {
			r.OK, r.State = false, wire.StateQueued
			open = append(open, r)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, time.Duration(f.timeout))
	defer cancel()
	done := env.Progress("waiting until it is " + f.wait)
	defer done()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for events := c.Events(); ; {
		open = slices.DeleteFunc(open, func(s *sentJSON) bool { return s.arrived(ctx, c, wire.DeliveryState(f.wait)) })
		if len(open) == 0 {
			return
		}
		select {
		case _, ok := <-events:
			if !ok {
				return // the membership has ended
			}
		case <-look.C:
		case <-waiting.Done():
			return
		}
	}
}

// arrived looks how far a message has come and reports whether it will come no
// further than it has, or need not.
func (s *sentJSON) arrived(ctx context.Context, c *peer.Client, goal wire.DeliveryState) bool {
	res, err := peer.Call(ctx, c, wire.GetMessageStatus{MessageID: s.MessageID})
	if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code != wire.RateLimited {
		s.fail(refusal)
		return true
	}
	if err != nil {
		return false // the connection is away; what was known last stands
	}
	slowest, expired := wire.StateExpired, false
	for _, r := range res.Recipients {
		if rank(r.State) < rank(slowest) {
			slowest = r.State
		}
		expired = expired || r.State == wire.StateExpired
	}
	s.State = slowest
	if rank(slowest) < rank(goal) {
		return false
	}
	if expired {
		s.State = wire.StateExpired
	}
	s.OK = !expired
	return true
}
