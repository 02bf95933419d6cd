package tools

import (
	"context"
	"slices"
	"time"

	"claudemesh/peer"
)

// startTime bounds the wait for others that change what is remembered of a
// session's start.
const startTime = 500 * time.Millisecond

// began notes that the session begins, or begins anew: what it was started with
// before, no turn followed on.
func (p *post) began(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err := p.starts.Leave(ctx)
	p.reconcile()
	return err
}

// opened notes that a host was given messages to begin with. Where that cannot be
// remembered nothing has confirmed them.
func (p *post) opened(host int, ids []string) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	_ = p.starts.Add(ctx, host, ids)
	p.reconcile()
}

// begun notes that a turn has begun, with what the session was started with.
func (p *post) begun() {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	_ = p.starts.Turn(ctx) // the next sign of a turn does it otherwise
	p.reconcile()
}

// reconcile brings the letters in line with what this process and others of the
// session have noted of its start: what waits for the first turn goes by no way,
// what came before the model has been seen, and what no turn followed on is free
// again.
func (p *post) reconcile() {
	s := p.starts.Load()
	seen := make(map[*mesh][]string)
	p.mu.Lock()
	p.letters = slices.DeleteFunc(p.letters, func(l *letter) bool {
		fate := s.Fate(l.rec.MessageID)
		if l.waits && fate != peer.StartWaits {
			l.way, l.at, l.full = "", time.Time{}, false
		}
		l.waits = fate == peer.StartWaits
		l.before = l.before || fate == peer.StartLeft
		if fate == peer.StartHad {
			seen[l.mesh] = append(seen[l.mesh], l.rec.MessageID)
		}
		return fate == peer.StartHad
	})
	if len(seen) > 0 {
		p.touch()
	}
	p.mu.Unlock()
	tellSeen(seen)
}
