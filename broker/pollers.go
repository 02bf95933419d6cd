package broker

import (
	"context"
	"slices"
	"sync"
)

const (
	maxPolls       = 16 // looks at URLs at a time
	maxMemberPolls = 4  // of one member, so that slow servers of one keep nobody waiting
)

// pollers bound the looks that are under way. A watch that is due waits for its
// turn, and is there once: a look that is not over is not begun again.
type pollers struct {
	mu      sync.Mutex
	waiting []*watch
	running map[*watch]context.CancelFunc
	again   map[*watch]bool // of those: to be looked at anew afterwards
	members map[string]int  // looks under way, by member
	stopped bool
}

// add has w looked at when there is room, and when the look that is under way is
// over: that may have found that w rests, just before its member returned.
func (p *pollers) add(w *watch) {
	p.mu.Lock()
	switch {
	case p.stopped || slices.Contains(p.waiting, w):
	case p.running[w] != nil:
		p.again[w] = true
	default:
		p.waiting = append(p.waiting, w)
	}
	p.mu.Unlock()
	p.start()
}

// start begins what there is room for.
func (p *pollers) start() {
	for {
		w, ctx := p.next()
		if w == nil {
			return
		}
		if !w.mesh.tryBackground(func() {
			w.mesh.poll(ctx, w)
			p.done(w)
			p.start()
		}) {
			p.done(w)
		}
	}
}

// next takes the first watch that may be looked at now.
func (p *pollers) next() (*watch, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || len(p.running) >= maxPolls {
		return nil, nil
	}
	i := slices.IndexFunc(p.waiting, func(w *watch) bool { return p.members[w.memberID] < maxMemberPolls })
	if i < 0 {
		return nil, nil
	}
	w := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	if p.running == nil {
		p.running, p.members = make(map[*watch]context.CancelFunc), make(map[string]int)
		p.again = make(map[*watch]bool)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.running[w] = cancel
	p.members[w.memberID]++
	return w, ctx
}

func (p *pollers) done(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[w]()
	delete(p.running, w)
	if p.again[w] && !p.stopped {
		p.waiting = append(p.waiting, w)
	}
	delete(p.again, w)
	if p.members[w.memberID]--; p.members[w.memberID] == 0 {
		delete(p.members, w.memberID)
	}
}

// remove breaks a look off, or has it not begin.
func (p *pollers) remove(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(o *watch) bool { return o == w })
	delete(p.again, w)
	if cancel := p.running[w]; cancel != nil {
		cancel()
	}
}

// stop breaks all looks off, and begins no other.
func (p *pollers) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped, p.waiting = true, nil
	for _, cancel := range p.running {
		cancel()
	}
}
