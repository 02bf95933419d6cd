package tools

import (
	"context"
	"errors"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	quietTime  = 150 * time.Millisecond // without another message: no more is on its way
	arriveTime = time.Second            // for all that was held back
)

// A rhythm is what the session was last said to be doing by its host, and
// whether its model waits for mail meanwhile.
type rhythm struct {
	mu      sync.Mutex
	status  wire.Status // empty while it is not known
	waiting int         // calls that wait for mail
}

// heard takes note of a status and reports whether the brokers are to be told: a
// model that waits for mail is at work for its host, and ready for all mail.
func (r *rhythm) heard(s wire.Status) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = s
	return r.waiting == 0 || s != wire.Working
}

// receptive has the brokers hand out what they hold back while the session
// works, since its model asks for it, and waits until it has come. The result
// ends that. Meanwhile no other way takes mail. Who set the status by hand is
// left alone by it.
func (h *hub) receptive(ctx context.Context) (end func()) {
	r := &h.rhythm
	h.post.count(peer.WayCheck, 1)
	r.mu.Lock()
	r.waiting++
	held := r.status == wire.Working
	tell := held && r.waiting == 1
	r.mu.Unlock()
	if tell {
		h.reportRhythm(ctx, wire.Idle)
	}
	if held {
		h.post.settle(ctx)
	}
	return func() {
		h.post.count(peer.WayCheck, -1)
		r.mu.Lock()
		r.waiting--
		again := r.waiting == 0 && r.status == wire.Working
		r.mu.Unlock()
		if again {
			h.reportRhythm(context.WithoutCancel(ctx), wire.Working)
		}
	}
}

func (h *hub) reportRhythm(ctx context.Context, s wire.Status) {
	if err := h.report(ctx, peer.StatusReport{Status: s, Source: wire.SourceHook}); err != nil {
		h.log.Debug("status not reported", "err", err)
	}
}

// report tells every mesh what the session is doing.
func (h *hub) report(ctx context.Context, req peer.StatusReport) error {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	all := h.all()
	results := make(chan error, len(all))
	for _, m := range all {
		go func() { results <- h.reportTo(ctx, m, req) }()
	}
	var faults []error
	for range all {
		faults = append(faults, <-results)
	}
	return errors.Join(faults...)
}

// settle waits until no more mail comes.
func (p *post) settle(ctx context.Context) {
	for end := time.Now().Add(arriveTime); time.Now().Before(end); {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(quietTime):
			return
		case <-ctx.Done():
			return
		}
	}
}
