package tools

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	newsWindow = 10 * time.Second
	newsShown  = 5 // of a kind within newsWindow; the others are counted
	newsLen    = 500
	maxKinds   = 64 // that are counted at once
)

// News are what happened in a mesh besides mail. A feature that has some makes
// one of each push, in hub.follow, and gives it to hub.tell.
type news struct {
	kind   string            // of the channel notification: state_change, stream_data, system, webhook
	text   string            // a line
	meta   map[string]string // more attributes of the channel notification
	plural string            // what they are when they are counted: "state changes"
	look   string            // the tool that shows what was counted; empty for none
	// data says that it is one of many: in the mode inbox it is counted only.
	data bool
	// keep says that it is told with the next turn where the channel is not
	// known to work.
	keep bool
	// must says that it is told when the mode is off too, to a model that asks.
	must bool
}

// A tally counts what is not told one by one.
type tally struct {
	began chan struct{} // has a token once there is something to count

	mu    sync.Mutex
	kinds map[string]*count // by mesh and kind
}

type count struct {
	news  news
	mesh  *mesh
	shown int
	more  int
}

func newTally() *tally {
	return &tally{began: make(chan struct{}, 1), kinds: make(map[string]*count)}
}

// tell tells the model of news as its message mode says: push, each, as long as
// they are few; inbox, data by their number only; off, nothing.
func (h *hub) tell(m *mesh, n news) {
	n.text = wire.Shorten(neutral(strings.ReplaceAll(neutral(n.text), "\n", " ")), newsLen) // joined lines may make a tag
	mode := h.post.currentMode()
	switch {
	case n.must:
		h.announce(m, &n)
	case mode != "off" && h.tally.admits(m, n, mode == "push" || !n.data):
		h.announce(m, &n)
	}
}

// admits reports whether news may be told now; what may not is counted.
func (t *tally) admits(m *mesh, n news, single bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := m.slug + " " + n.kind
	c := t.kinds[key]
	if c == nil {
		if len(t.kinds) >= maxKinds {
			return false
		}
		c = &count{mesh: m}
		t.kinds[key] = c
	}
	select {
	case t.began <- struct{}{}:
	default:
	}
	c.news = n
	if single && c.shown < newsShown {
		c.shown++
		return true
	}
	c.more++
	return false
}

// take returns what was counted since, and forgets it.
func (t *tally) take() (counted []*count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, c := range t.kinds {
		if c.more > 0 {
			counted = append(counted, c)
		}
		delete(t.kinds, key)
	}
	return counted
}

// tellCounts tells every 10 s at most what was counted, until ctx ends.
func (h *hub) tellCounts(ctx context.Context) {
	for {
		select {
		case <-h.tally.began:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(newsWindow):
		case <-ctx.Done():
			return
		}
		for _, c := range h.tally.take() {
			if h.post.currentMode() == "off" {
				continue
			}
			n := c.news
			n.text = fmt.Sprintf("[%s] %d more %s", n.kind, c.more, n.plural)
			if c.shown == 0 {
				n.text = fmt.Sprintf("[%s] %d %s", n.kind, c.more, n.plural)
			}
			if n.look != "" {
				n.text += ": " + n.look + " shows how things stand"
			}
			n.meta = map[string]string{"count": fmt.Sprint(c.more)}
			h.announce(c.mesh, &n)
		}
	}
}

// announce gives news to the channel, and keeps what must not be lost for the
// next turn where the channel is not known to work.
func (h *hub) announce(m *mesh, n *news) {
	w := h.ways
	off := h.post.currentMode() == "off"
	if w.channel.open && !off && w.begun() {
		meta := map[string]string{"kind": n.kind, "mesh_slug": m.slug, "mesh_id": attribute(m.entry.MeshID)}
		maps.Copy(meta, n.meta)
		w.notify(n.text, meta)
	}
	if n.keep && !(w.channel.open && h.post.channelWorks(w.channel.first)) {
		whose := ""
		if n.data {
			whose = ", in words of peers"
		}
		h.post.tell(fmt.Sprintf("[claudemesh] Mesh %s%s: %s", m.slug, whose, n.text))
	}
}
