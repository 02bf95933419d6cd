package tools

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"claudemesh/peer"
)

const (
	// confirmTime is how long a message belongs to the way that took it.
	confirmTime = 20 * time.Second
	// hookBytes is the usual room of a hook, which the host cuts beyond.
	hookBytes  = 8000
	checkBytes = 40_000
	// maxBytes keeps an answer, which has the texts twice, below the limit of
	// the local socket however they are escaped.
	maxBytes = 100_000
	// maxWhole is where an answer of whole messages ends. One message is always
	// given.
	maxWhole = 256_000
	maxNotes = 20
	// eventStart is the host's name of a session's start.
	eventStart = "SessionStart"
)

// A letter is a message that the model has not seen. The mutex of its post
// guards what changes.
type letter struct {
	mesh *mesh
	rec  peer.Record
	no   int64 // rises with each letter, over restarts too

	way    string    // that took it last; empty for none
	at     time.Time // when
	full   bool      // that way was given all of the text
	before bool      // another had it before
	brief  bool      // its first line was shown: no way pushes it again
	queued bool      // the host has it from a waiter, and reads it once its turn gets there
	host   int       // that way is the hook of a session's start, for this process of the host; 0 otherwise
	waits  bool      // the host has it from that hook, and reads it with the first turn
}

// again reports whether the model may have been shown the letter.
func (l *letter) again() bool { return l.before || !l.at.IsZero() }

// A post is the inbox over all meshes.
type post struct {
	mu      sync.Mutex
	mode    string    // push, inbox or off
	letters []*letter // unseen, in the order of arrival
	notes   []string  // what the session must be told besides, once
	changed chan struct{}
	last    int64                // number of the last letter
	waiting map[string]int       // callers that wait, by way
	asked   map[string]time.Time // when a way last asked for mail
	worked  map[string]time.Time // when a way last carried mail
	proven  bool                 // the model answered what only the channel had carried
	hooked  bool                 // hooks say when a turn begins and ends
	turn    bool                 // by what they said last, or by a wake since, one goes on

	prompted []string // messages that the session was started with

	starts peer.StartMail // what the session began with, as its hooks know too
}

func newPost(mode string) *post {
	return &post{mode: mode, changed: make(chan struct{}), waiting: make(map[string]int), asked: make(map[string]time.Time), worked: make(map[string]time.Time)}
}

// touch wakes who waits. It is called with mu held.
func (p *post) touch() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *post) setMode(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	p.touch()
}

func (p *post) currentMode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// put adds a message that came in.
func (p *post) put(m *mesh, r peer.Record) {
	defer p.reconcile()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.arrived(m, r)
	p.last = max(p.last+1, time.Now().UnixNano())
	l.no = p.last
	p.letters = append(p.letters, l)
	p.touch()
}

// announced notes that the first line of a message was shown before.
func (p *post) announced(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		l.brief = l.brief || l.rec.MessageID == id
	}
}

// brief returns the messages of which the first line was shown.
func (p *post) brief() (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		if l.brief {
			ids = append(ids, l.rec.MessageID)
		}
	}
	return ids
}

// channelWorks reports whether the host shows what comes by the channel: the
// user says so, or the model has answered some of it.
func (p *post) channelWorks(said bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return said || p.proven
}

// tell keeps a line for whoever next shows something. The oldest gives way.
func (p *post) tell(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, line+"\n")
	if len(p.notes) > maxNotes {
		p.notes = p.notes[1:]
	}
	p.touch()
}

// drop forgets the mail of a mesh that was left.
func (p *post) drop(m *mesh) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = slices.DeleteFunc(p.letters, func(l *letter) bool { return l.mesh == m })
	p.touch()
}

func (p *post) unseen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.letters)
}

// asks reports whether a way is one that somebody asks for mail by: it gets all
// that is unseen. The others put mail before a model of their own accord, and
// get what no other has.
func asks(way string) bool { return way == peer.WayCheck || way == peer.WayInbox }

// wanted reports whether a request is one that a message mode does not touch:
// somebody wants mail by it.
func wanted(req *peer.MailRequest) bool { return asks(req.Way) || req.Way == peer.WayWatch || req.Peek }

// free reports whether a letter may go by a way now. It is called with mu held.
func (l *letter) free(req *peer.MailRequest, now time.Time) bool {
	switch {
	case req.Mesh != "" && req.Mesh != l.mesh.slug && req.Mesh != l.mesh.entry.MeshID, req.After > 0 && l.no <= req.After:
		return false
	case req.OnlyNew && l.again():
		return false
	case asks(req.Way) || req.Peek:
		return true
	}
	return !l.brief && !l.queued && !l.waits && (l.at.IsZero() || now.Sub(l.at) >= confirmTime)
}

// take returns the mail that a way may show, and lets it have that for
// confirmTime. Nothing is seen before shown is called.
func (p *post) take(req peer.MailRequest) peer.MailAnswer {
	p.reconcile()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.asked[req.Way] = now
	if !wanted(&req) && (p.mode == "off" || p.expected(req.Way)) {
		return peer.MailAnswer{}
	}
	var free []*letter
	for _, l := range p.letters {
		if l.free(&req, now) {
			free = append(free, l)
		}
	}
	if req.Whole {
		return p.whole(req, free, now)
	}
	note := ""
	if !req.Peek && (len(free) > 0 || !startsTurn(req.Way)) {
		note, p.notes = strings.Join(p.notes, ""), nil
	}
	if len(free) == 0 {
		return peer.MailAnswer{Text: note}
	}
	if !wanted(&req) && p.mode == "inbox" {
		a := p.announce(req, free, now)
		a.Text += note
		return a
	}
	size := min(req.MaxBytes, maxBytes)
	if size <= 0 {
		size = hookBytes
	}
	out := render(free, size, asks(req.Way))
	if req.Way == peer.WayDigest {
		out = renderDigest(free, size)
	}
	a := peer.MailAnswer{More: out.more, Text: out.text + note}
	for i, r := range out.records {
		if !req.Peek {
			free[i].take(req.Way, now, r.Full)
			if req.Event == eventStart && p.starts != (peer.StartMail{}) {
				free[i].host = req.HostPID
			}
		}
		if !r.Full {
			r.Record = withoutText(r.Record)
		}
		a.Records, a.Mark = append(a.Records, r), free[i].no
	}
	return a
}

// expected reports whether somebody waits for mail who comes before a way: the
// model itself, and before what starts a turn a command that prints it. It is
// called with mu held.
func (p *post) expected(way string) bool {
	return p.waiting[peer.WayCheck] > 0 || p.waiting[peer.WayWatch] > 0 && startsTurn(way)
}

// startsTurn reports whether mail by a way begins a turn, which costs: what is
// no mail waits for the next one.
func startsTurn(way string) bool { return way == peer.WayWake || way == peer.WayNative }

// whole gives messages as they are. It is called with mu held.
func (p *post) whole(req peer.MailRequest, free []*letter, now time.Time) (a peer.MailAnswer) {
	size := 0
	for i, l := range free {
		size += len(l.rec.Text()) + len(l.rec.Ciphertext)
		if i > 0 && size > maxWhole {
			a.More = len(free) - i
			break
		}
		a.Records = append(a.Records, peer.MailRecord{Mesh: l.mesh.slug, Record: l.rec, Full: true, Again: l.again()})
		a.Mark = l.no
		if !req.Peek {
			l.take(req.Way, now, true)
		}
	}
	return a
}

func (l *letter) take(way string, now time.Time, full bool) {
	l.before = l.again()
	l.way, l.at, l.full, l.queued, l.host = way, now, full, false, 0
}

// announce gives a notice without any text. It is called with mu held.
func (p *post) announce(req peer.MailRequest, free []*letter, now time.Time) peer.MailAnswer {
	a := peer.MailAnswer{Text: notice(free) + "\n"}
	for _, l := range free {
		a.Records = append(a.Records, peer.MailRecord{Mesh: l.mesh.slug, Record: withoutText(l.rec), Again: l.again()})
		l.take(req.Way, now, false)
	}
	return a
}

func withoutText(r peer.Record) peer.Record {
	r.Plaintext, r.Ciphertext = nil, ""
	return r
}

// wait is take that waits until there is something, or ctx ends: then the
// answer is empty.
func (p *post) wait(ctx context.Context, req peer.MailRequest) peer.MailAnswer {
	p.count(req.Way, 1)
	defer p.count(req.Way, -1)
	for {
		p.mu.Lock()
		changed, due := p.changed, p.due(req.Way)
		p.mu.Unlock()
		if a := p.take(req); !a.Empty() {
			return a
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(time.Until(due))
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return peer.MailAnswer{}
		}
	}
}

func (p *post) count(way string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[way] += n
	p.touch()
}

// due returns when the next letter that some way has becomes free, zero if
// none does. It is called with mu held.
func (p *post) due(way string) time.Time {
	var next time.Time
	now := time.Now()
	for _, l := range p.letters {
		if l.at.IsZero() || l.brief || l.queued || l.waits || asks(way) {
			continue
		}
		if at := l.at.Add(confirmTime); at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// release takes letters back that a way could not show.
func (p *post) release(way string, ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.letters {
		if l.way == way && slices.Contains(ids, l.rec.MessageID) {
			l.way, l.at, l.full = "", time.Time{}, false
		}
	}
	p.touch()
}

// answered notes that the model answered a message, which it must have seen.
func (p *post) answered(id string) {
	p.mu.Lock()
	i := slices.IndexFunc(p.letters, func(l *letter) bool { return l.rec.MessageID == id })
	if i < 0 || p.letters[i].way == "" {
		p.mu.Unlock()
		return
	}
	l := p.letters[i]
	p.letters = slices.Delete(p.letters, i, i+1)
	p.proven = p.proven || l.way == peer.WayChannel && !l.before
	p.worked[l.way] = time.Now()
	p.touch()
	p.mu.Unlock()
	l.mesh.seen(id)
}
