package tools

import (
	"slices"
	"time"

	"claudemesh/peer"
)

// shown notes that a way put its text before the model: the messages that it
// was given in full are seen if they are among ids, and those of which it was
// given the first line are announced. What a command has printed and no way has
// was given out by another process of the session, which has ended since. What
// a waiter gave a host whose turn goes on is seen when turned hears of that turn,
// and what the host was given when the session began, when there is a turn.
func (p *post) shown(way string, ids []string) {
	if way == "" {
		return
	}
	seen := make(map[*mesh][]string)
	host, opening := 0, []string(nil)
	p.mu.Lock()
	p.worked[way] = time.Now()
	wake := way == peer.WayWake && p.hooked
	queue := wake && p.turn
	p.turn = p.turn || wake
	p.letters = slices.DeleteFunc(p.letters, func(l *letter) bool {
		before := l.way == "" && (way == peer.WayWatch || way == peer.WayInbox)
		if l.way != way && !before {
			return false
		}
		if !l.full && !before {
			l.brief = true
			return false
		}
		if !slices.Contains(ids, l.rec.MessageID) {
			return false
		}
		if l.host != 0 {
			host, opening = l.host, append(opening, l.rec.MessageID)
			return false
		}
		if queue {
			l.queued = true
			return false
		}
		seen[l.mesh] = append(seen[l.mesh], l.rec.MessageID)
		return true
	})
	p.touch()
	p.mu.Unlock()
	tellSeen(seen)
	if opening != nil {
		p.opened(host, opening)
	}
}

// turned notes that a hook said whether a turn goes on. The host reads what it
// has queued when a tool has run and when a turn ends, so that has come before
// the model; a host that died before has shown none of it.
func (p *post) turned(goesOn bool) {
	seen := make(map[*mesh][]string)
	p.mu.Lock()
	p.hooked, p.turn = true, goesOn
	p.letters = slices.DeleteFunc(p.letters, func(l *letter) bool {
		if l.queued {
			seen[l.mesh] = append(seen[l.mesh], l.rec.MessageID)
		}
		return l.queued
	})
	p.touch()
	p.mu.Unlock()
	tellSeen(seen)
	p.begun()
}

// tellSeen tells the broker of each mesh what was seen. It may wait.
func tellSeen(seen map[*mesh][]string) {
	for m, ids := range seen {
		m.seen(ids...)
	}
}
