package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// ways are those that put mail before the model of their own accord: the
// channel of the MCP server, and the host's messaging socket.
type ways struct {
	hub     *hub
	link    *link
	channel channel
	native  *native // nil unless the user chose it
}

// push carries mail as it comes until ctx ends. A channel that works comes first;
// without one, the messaging socket, unless a waiter is there to take the mail.
func (w *ways) push(ctx context.Context) {
	select {
	case <-w.link.initialized:
	case <-ctx.Done():
		return
	}
	p := w.hub.post
	for {
		p.mu.Lock()
		changed, due := p.changed, p.due(peer.WayNative)
		if _, look := w.carries(p, time.Now()); !look.IsZero() && (due.IsZero() || look.Before(due)) {
			due = look
		}
		p.mu.Unlock()
		w.pushChannel()
		if w.native != nil {
			w.pushNative(ctx)
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(time.Until(due))
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return
		}
	}
}

// pushChannel notifies the host of every message that no way has taken. It
// drops notifications without a word, so they are never taken for seen.
func (w *ways) pushChannel() {
	p := w.hub.post
	p.reconcile()
	now := time.Now()
	p.mu.Lock()
	var fresh []*letter
	if ok, _ := w.carries(p, now); ok {
		for _, l := range p.letters {
			if !l.again() && !l.waits {
				l.take(peer.WayChannel, now, false)
				fresh = append(fresh, l)
			}
		}
	}
	mode := p.mode
	p.mu.Unlock()
	switch {
	case len(fresh) == 0:
		return
	case mode == "inbox":
		w.notify(notice(fresh), map[string]string{"kind": "inbox_notification", "from_name": neutralLine(fresh[0].rec.SenderName, nameLen)})
	default:
		for _, l := range fresh {
			w.notify(channelText(l), channelMeta(l))
		}
	}
	p.mu.Lock()
	p.worked[peer.WayChannel] = now
	p.mu.Unlock()
}

// notify sends one channel notification. All values of meta must be text.
func (w *ways) notify(content string, meta map[string]string) {
	if err := w.link.notify("notifications/claude/channel", map[string]any{"content": content, "meta": meta}); err != nil {
		w.hub.log.Warn("channel notification not written", "err", err)
	}
}

// channelText is a message for the channel: long ones by their first line.
func channelText(l *letter) string {
	if len(l.rec.Text()) > longText {
		line, _ := inBrief(l.mesh.slug, &l.rec, false)
		return banner + "\n\n" + line + "It is long: call check_messages for the text.\n"
	}
	return banner + "\n\n" + inFull(l.mesh.slug, &l.rec, false)
}

func channelMeta(l *letter) map[string]string {
	r := &l.rec
	meta := map[string]string{
		"from_id": attribute(r.SenderPubkey), "from_name": attribute(r.SenderName), "mesh_slug": l.mesh.slug, "mesh_id": attribute(r.MeshID),
		"message_id": attribute(r.MessageID), "priority": string(r.Priority), "sent_at": r.CreatedAt.String(),
		"delivered_at": r.ReceivedAt.String(), "kind": string(r.Kind), "authenticated": fmt.Sprint(r.Authenticated),
	}
	if r.Subtype != "" {
		meta["subtype"] = attribute(r.Subtype)
	}
	if r.ReplyTo != "" {
		meta["reply_to"] = attribute(r.ReplyTo)
	}
	return meta
}

// attribute makes a text fit for an attribute of the host's tag.
func attribute(text string) string {
	return strings.NewReplacer("<", "[", ">", "]", `"`, "'").Replace(neutralLine(text, 128))
}

// eventNews are the news of a system event; ok is false for what needs no
// telling.
func eventNews(p *wire.Push) (n news, ok bool) {
	if p.Event == wire.EventTick {
		return tickNews(p)
	}
	line := eventLine(p)
	if line == "" {
		return n, false
	}
	data := "{}"
	if json.Valid(p.EventData) {
		data = attribute(string(p.EventData))
	}
	expired := p.Event == wire.EventMessageExpired
	look := "list_peers"
	if p.Event == wire.EventClockPaused {
		look = "mesh_clock"
	}
	return news{
		kind: "system", text: line, plural: "events", look: look, keep: expired, must: expired,
		meta: map[string]string{"event": attribute(p.Event), "eventData": data},
	}, true
}

// tickNews are the news of a simulated minute.
func tickNews(p *wire.Push) (n news, ok bool) {
	var t wire.Tick
	if wire.Decode(p.EventData, &t) != nil {
		return n, false
	}
	at := t.SimTime.Std().Format(time.DateTime)
	return news{
		kind: "system", text: fmt.Sprintf("[heartbeat] tick %d | sim time: %s | speed: x%g", t.Tick, at, float64(t.Speed)),
		plural: "ticks of the simulation clock", look: "mesh_clock", data: true,
		meta: map[string]string{"event": wire.EventTick},
	}, true
}

// stateNews are the news of a change of the shared state.
func stateNews(s *wire.StateChange) news {
	return news{
		kind: "state_change", text: stateNotice(s), plural: "changes of the shared state", look: "list_state", data: true, keep: true,
		meta: map[string]string{"key": attribute(s.Key), "updated_by": attribute(s.UpdatedBy)},
	}
}

func (w *ways) begun() bool {
	select {
	case <-w.link.initialized:
		return true
	default:
		return false
	}
}

// eventLine says in a line what happened, empty for what needs no telling.
func eventLine(p *wire.Push) string {
	var e wire.PeerEvent
	switch p.Event {
	case wire.EventPeerJoined, wire.EventPeerLeft, wire.EventPeerReturned:
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		what := map[string]string{
			wire.EventPeerJoined: "joined the mesh", wire.EventPeerLeft: "left the mesh", wire.EventPeerReturned: "is back",
		}[p.Event]
		return fmt.Sprintf("[system] Peer %q %s", neutralLine(e.Name, nameLen), what)
	case wire.EventSkillShared:
		var s wire.SkillShared
		if wire.Decode(p.EventData, &s) != nil {
			return ""
		}
		return fmt.Sprintf("[system] %q shared the skill %q: %s", neutralLine(s.Author, nameLen), neutralLine(s.Name, wire.MaxSkillName), neutralLine(s.Description, 300))
	case wire.EventSkillRemoved:
		var s wire.SkillRemoved
		if wire.Decode(p.EventData, &s) != nil {
			return ""
		}
		return fmt.Sprintf("[system] %q removed the skill %q", neutralLine(s.By, nameLen), neutralLine(s.Name, wire.MaxSkillName))
	case wire.EventMCPRegistered, wire.EventMCPUnregistered, wire.EventMCPOffline, wire.EventMCPRestored:
		return serverLine(p)
	case wire.EventMCPDeployed, wire.EventMCPUndeployed, wire.EventMCPScopeChanged, wire.EventMCPCrashed, wire.EventMCPUpdated:
		return serviceLine(p)
	case wire.EventClockPaused:
		var c wire.ClockPaused
		if wire.Decode(p.EventData, &c) != nil {
			return ""
		}
		return fmt.Sprintf("[system] The broker was restarted, which paused the simulation clock: tick %d | sim time: %s. It stands until somebody resumes it",
			c.Tick, c.SimTime.Std().Format(time.DateTime))
	case wire.EventMessageExpired:
		var x wire.MessageExpired
		if wire.Decode(p.EventData, &x) != nil {
			return ""
		}
		return fmt.Sprintf("[system] Your message %s to %s was given up: it was not read in time", neutralLine(x.MessageID, 128), neutralLine(x.TargetSpec, 70))
	}
	return ""
}

// welcome greets the session once the host has begun and the first mesh is
// open, unless ctx ends before.
func (w *ways) welcome(ctx context.Context) {
	for _, ready := range []<-chan struct{}{w.link.initialized, w.hub.opened} {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
	}
	if w.hub.post.currentMode() == "off" {
		return
	}
	for _, m := range w.hub.all() {
		if m.client.State() != peer.StateOpen {
			continue
		}
		var others []string
		list, err := m.client.Peers(ctx)
		if err != nil {
			w.hub.log.Debug("peers not known for the welcome", "err", err)
		}
		for _, p := range list.Peers {
			if p.Pubkey != m.client.Address() {
				others = append(others, p.DisplayName)
			}
		}
		w.notify(fmt.Sprintf("[system] You are %q in mesh %s with %s online: %s. Call set_summary to say what you work on, mesh_info for an overview.",
			neutralLine(w.hub.nameIn(m), nameLen), m.slug, plural(len(others), "other peer"), several(others)),
			map[string]string{"kind": "welcome", "mesh_slug": m.slug})
		return
	}
}

// pushNative writes free mail to the messaging socket, which puts it before the
// model at once.
func (w *ways) pushNative(ctx context.Context) {
	p := w.hub.post
	p.mu.Lock()
	waiter := p.waiting[peer.WayWake] > 0
	p.mu.Unlock()
	if waiter || w.native.paused() {
		return
	}
	a := p.take(peer.MailRequest{Way: peer.WayNative, MaxBytes: 40_000})
	if a.Text == "" {
		return
	}
	if err := w.native.write(ctx, a.Text); err != nil {
		w.hub.log.Warn("messaging socket", "err", err)
		w.native.failed(err)
		p.release(peer.WayNative, ids(a.Records))
		return
	}
	w.native.failed(nil)
	p.shown(peer.WayNative, ids(a.Records))
}

func ids(records []peer.MailRecord) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.MessageID)
	}
	return out
}

// describe lists the ways for whoever wants to know how mail gets through.
func (w *ways) describe() []peer.Way {
	p := w.hub.post
	nativeNote := "not chosen: `claudemesh install --native-messaging`"
	if w.native != nil {
		nativeNote = w.native.note()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.mode != "off"
	way := func(name string, open bool, note string) peer.Way {
		return peer.Way{Name: name, Open: open, LastWorked: p.worked[name], Note: note}
	}
	channelNote := "the session was not launched with it"
	switch {
	case w.channel.open && p.proven:
		channelNote = "the model has answered mail that came by it"
	case w.channel.open:
		channelNote = "asked for at launch; whether the host shows it is not known, so it never counts as seen, and mail goes by what else is open"
	}
	wakeNote := "no waiter of the host is here"
	if p.waiting[peer.WayWake] > 0 {
		wakeNote = "a waiter is here"
	}
	hookNote := "no hook has asked for mail yet"
	if !p.asked[peer.WayHook].IsZero() {
		hookNote = ""
	}
	return []peer.Way{
		way(peer.WayChannel, on && w.channel.open, channelNote),
		way(peer.WayWake, on && p.waiting[peer.WayWake] > 0, wakeNote),
		way(peer.WayHook, on && !p.asked[peer.WayHook].IsZero(), hookNote),
		way(peer.WayStop, on && !p.asked[peer.WayStop].IsZero(), ""),
		way(peer.WayNative, on && w.native != nil, nativeNote),
		way(peer.WayDigest, on, "at the end of each tool's result"),
		way(peer.WayCheck, true, cmp.Or(map[bool]string{true: "somebody waits for mail"}[p.waiting[peer.WayCheck] > 0], "the tool check_messages")),
	}
}
