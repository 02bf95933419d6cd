package tools

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/lend"
	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	closeTime = 300 * time.Millisecond // for what the brokers must still be told
	// keptKey is how long the key of a session is kept after it was last used:
	// far longer than a host keeps a conversation, and a broker the mail for it.
	keptKey = 180 * 24 * time.Hour
)

// A hub holds the session's connections, one per mesh of the configuration.
type hub struct {
	who    identity
	dir    string // of the configuration
	log    *slog.Logger
	post   *post
	ways   *ways
	tally  *tally
	asked  *asked
	svc    *svcTools
	rhythm rhythm
	start  time.Time
	calls  atomic.Int64 // of tools
	faults atomic.Int64 // tools that failed

	loaded chan struct{} // closed when the configuration was read for the first time
	opened chan struct{} // closed when the first mesh is open
	once   sync.Once     // closes opened

	mu      sync.Mutex
	meshes  []*mesh // in the order of the configuration
	problem error   // why the configuration cannot be read
	pings   map[string]chan time.Time
}

// A mesh is one connection and what serves it.
type mesh struct {
	slug    string
	entry   peer.Mesh
	client  *peer.Client
	seen    func(ids ...string) // tells the broker what was put before the model
	streams *following
	lender  *lend.Lender
	stale   chan string // servers that have changed their tools
	// caught is closed when the post has what waited at the broker, or that has
	// taken too long to be waited for. A stand-in has none.
	caught chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newHub(who identity, dir string, log *slog.Logger) *hub {
	h := &hub{
		who: who, dir: dir, log: log, post: newPost(who.mode), tally: newTally(), asked: newAsked(), start: time.Now(),
		loaded: make(chan struct{}), opened: make(chan struct{}), pings: make(map[string]chan time.Time),
	}
	var err error
	if h.post.starts, err = peer.NewStartMail(who.session); err != nil {
		log.Debug("what the session begins with is not remembered", "err", err)
	}
	h.svc = &svcTools{hub: h, chosen: svcChosen("core")}
	return h
}

// reload makes the connections those of the configuration: new meshes are
// connected, meshes that were left are dropped, others stay as they are.
func (h *hub) reload(ctx context.Context) {
	c, err := peer.LoadConfig(h.dir)
	h.mu.Lock()
	h.problem = err
	old := h.meshes
	h.mu.Unlock()
	if err != nil {
		h.log.Warn("the configuration stays as it was", "err", err)
		return
	}
	var kept []*mesh
	var problems []error
	for _, entry := range c.Meshes {
		i := slices.IndexFunc(old, func(m *mesh) bool { return sameMesh(&m.entry, &entry) })
		if i >= 0 {
			kept = append(kept, old[i])
			continue
		}
		// One connection of a session: the old entry's ends first.
		for _, m := range old {
			if m.entry.MeshID == entry.MeshID {
				h.disconnect(ctx, m)
			}
		}
		m, err := h.connect(ctx, c, entry)
		if err != nil {
			problems = append(problems, err)
			h.log.Warn("mesh not connected", "mesh", entry.Slug, "err", err)
			continue
		}
		kept = append(kept, m)
	}
	h.mu.Lock()
	h.meshes, h.problem = kept, errors.Join(problems...)
	h.mu.Unlock()
	for _, m := range old {
		if !slices.Contains(kept, m) {
			h.disconnect(ctx, m)
			h.offersChanged()
			h.svc.refresh()
		}
	}
}

func sameMesh(a, b *peer.Mesh) bool {
	return a.MeshID == b.MeshID && a.Slug == b.Slug && a.Pubkey == b.Pubkey && a.SecretKey == b.SecretKey &&
		a.BrokerURL == b.BrokerURL && a.RootKey == b.RootKey && a.MemberID == b.MemberID
}

// connect starts the connection to a mesh; it comes up behind.
func (h *hub) connect(ctx context.Context, c *peer.Config, entry peer.Mesh) (*mesh, error) {
	opts, err := h.options(c, entry)
	if err != nil {
		return nil, err
	}
	opts.Drain = true
	m := &mesh{slug: entry.Slug, entry: entry, streams: newFollowing(), stale: make(chan string, 8), caught: make(chan struct{})}
	m.lender = h.newLender(entry.MeshID, m.stale)
	opts.ToolCall = func(ctx context.Context, call peer.ToolCall) (wire.Value, error) { return h.serveTool(ctx, m, call) }
	client, err := peer.Start(ctx, opts)
	if err != nil {
		m.lender.Close()
		return nil, err
	}
	m.client, m.seen = client, client.MarkSeen
	ctx, m.cancel = context.WithCancel(ctx)
	m.done.Go(func() { h.reoffer(ctx, m) })
	m.done.Go(func() { h.receive(ctx, m) })
	m.done.Go(func() { h.follow(ctx, m) })
	m.done.Go(func() { h.greet(ctx, m) })
	m.done.Go(func() { h.attend(ctx, m) })
	m.done.Go(func() { h.attendServices(ctx, m) })
	return m, nil
}

// options says who the session is in a mesh.
func (h *hub) options(c *peer.Config, entry peer.Mesh) (peer.Options, error) {
	keys := c.SessionKeys()
	key, err := keys.Key(entry.MeshID, h.who.session)
	return peer.Options{
		Mesh: entry, SessionID: h.who.session, SessionKey: key, DisplayName: h.who.name, Cwd: h.who.cwd, Hostname: h.who.hostname,
		PID: os.Getpid(), PeerType: "ai", Channel: h.who.channel, Model: h.who.model, Role: h.who.role, Groups: h.who.groups,
		KeyByPubkey: func(pubkey string) (seal.PrivateKey, error) { return keys.ByPubkey(entry.MeshID, pubkey) },
		ShareFrom:   h.dir,
		Logger:      h.log,
	}, err
}

// pruneKeys removes the keys of sessions that ended long ago: every session
// makes one, and whoever looks for the key of some mail reads them all.
func (h *hub) pruneKeys(ctx context.Context) {
	c, err := peer.LoadConfig(h.dir)
	if err != nil {
		return // reload has said so
	}
	if n, err := c.SessionKeys().Prune(ctx, keptKey); n > 0 || err != nil {
		h.log.Info("keys of old sessions removed", "keys", n, "err", err)
	}
}

// disconnect ends a connection and forgets its mail, which the broker keeps.
func (h *hub) disconnect(ctx context.Context, m *mesh) {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if err := m.client.Close(closing); err != nil {
		h.log.Debug("connection not closed in order", "mesh", m.slug, "err", err)
	}
	m.cancel()
	if m.lender != nil { // a stand-in lends nothing
		m.lender.Close()
	}
	m.done.Wait()
	h.post.drop(m)
}

// close ends all connections.
func (h *hub) close(ctx context.Context) {
	h.mu.Lock()
	all := h.meshes
	h.meshes = nil
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range all {
		wg.Go(func() { h.disconnect(ctx, m) })
	}
	wg.Wait()
}

// follow reads the events of a mesh until the client has ended.
func (h *hub) follow(ctx context.Context, m *mesh) {
	for {
		select {
		case e, ok := <-m.client.Events():
			if !ok {
				return
			}
			switch f := e.Frame.(type) {
			case wire.Push:
				h.event(m, &f)
			case wire.StateChange:
				h.tell(m, stateNews(&f))
			}
		case <-ctx.Done():
			return
		}
	}
}

// greet takes note of the first hello.
func (h *hub) greet(ctx context.Context, m *mesh) {
	if m.client.Ready(ctx) != nil {
		return
	}
	h.adopt(m)
	h.once.Do(func() { close(h.opened) })
	h.offersChanged()
}

// adopt takes over the mode that the mesh has on record, unless one was chosen
// here.
func (h *hub) adopt(m *mesh) {
	if mode := m.client.Hello().MemberProfile.MessageMode; h.who.modeOpen && validMode(mode) {
		h.post.setMode(mode)
	}
}

// event handles a system event.
func (h *hub) event(m *mesh, p *wire.Push) {
	if p.Event == wire.EventProfileUpdated {
		var u wire.ProfileUpdated
		if wire.Decode(p.EventData, &u) == nil && u.MessageMode != nil && validMode(*u.MessageMode) {
			h.post.setMode(*u.MessageMode)
		}
	}
	if p.Event == wire.EventMCPUndeployed {
		var e wire.MCPUndeployed
		if wire.Decode(p.EventData, &e) == nil {
			h.svc.ended(e.Name)
		}
	}
	if n, ok := eventNews(p); ok {
		h.tell(m, n)
	}
	if p.Event == wire.EventSkillShared || p.Event == wire.EventSkillRemoved {
		h.offersChanged()
	}
}

// reportStats tells each mesh every minute how busy the session was, until ctx
// ends.
func (h *hub) reportStats(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, m := range h.all() {
			in, out := m.client.Counters()
			err := m.client.SetStats(ctx, wire.Stats{
				MessagesIn: float64(in), MessagesOut: float64(out), ToolCalls: float64(h.calls.Load()),
				Errors: float64(h.faults.Load()), Uptime: time.Since(h.start).Round(time.Second).Seconds(),
			})
			if err != nil {
				h.log.Debug("counters not reported", "mesh", m.slug, "err", err)
			}
		}
	}
}

func validMode(mode string) bool { return mode == "push" || mode == "inbox" || mode == "off" }

// nameIn returns what the session is called in a mesh.
func (h *hub) nameIn(m *mesh) string {
	return cmp.Or(h.who.name, m.client.Hello().MemberDisplayName, "this session")
}
