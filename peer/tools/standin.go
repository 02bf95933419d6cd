package tools

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"claudemesh/peer"
	"claudemesh/wire"
)

// StandInOptions say for which session somebody stands in.
type StandInOptions struct {
	Getenv    func(string) string
	ConfigDir string
	SessionID string // of the host
	// Busy leaves the mail that may not interrupt to a later time.
	Busy bool
	// Announced are messages of which the model was given the first line before.
	Announced []string
	// Logger takes what is of use to whoever looks for a fault; nil discards.
	Logger *slog.Logger
}

// A StandIn has a session's mail while no MCP server holds the session: it is
// connected to the meshes with the session's key, and in no list of peers. It
// renders mail as the server does. What it did not show goes back when it is
// closed.
type StandIn struct {
	inside
	busy      bool
	announced []string
}

// noServer is told with mail that comes without the server, whose tools the mail
// speaks of.
const noServer = "[claudemesh] The MCP server of this session does not run, so its tools may be missing. In a shell, `claudemesh inbox` shows the mail in full and `claudemesh send` answers."

// OpenStandIn connects to all meshes of the configuration and returns when all
// that waited there has come, or ctx ends. Meshes that do not answer are left
// out; the error says that none did. The caller closes it.
func OpenStandIn(ctx context.Context, o StandInOptions) (*StandIn, error) {
	c, err := peer.LoadConfig(o.ConfigDir)
	if err != nil {
		return nil, err
	}
	if len(c.Meshes) == 0 {
		return nil, peer.ErrNoMesh
	}
	if o.SessionID == "" || len(o.SessionID) > wire.MaxSessionID {
		return nil, errors.New("it is not known which session this is")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	who := identify(o.Getenv, c)
	who.session = o.SessionID
	h := newHub(who, o.ConfigDir, o.Logger)
	h.ways = &ways{hub: h}
	h.post.wasPrompted(promptedIDs(o.Getenv))
	s := &StandIn{inside: inside{hub: h, ways: h.ways}, busy: o.Busy, announced: o.Announced}
	opened := make([]*mesh, len(c.Meshes))
	faults := make([]error, len(c.Meshes))
	var wg sync.WaitGroup
	for i, entry := range c.Meshes {
		wg.Go(func() { opened[i], faults[i] = s.open(ctx, c, entry) })
	}
	wg.Wait()
	h.meshes = slices.DeleteFunc(opened, func(m *mesh) bool { return m == nil })
	if len(h.meshes) == 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// open connects to one mesh and takes what waits there.
func (s *StandIn) open(ctx context.Context, c *peer.Config, entry peer.Mesh) (*mesh, error) {
	opts, err := s.hub.options(c, entry)
	if err != nil {
		return nil, err
	}
	opts.Transient, opts.Drain, opts.Alone, opts.ShareFrom = true, true, true, ""
	client, err := peer.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	receiving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &mesh{slug: entry.Slug, entry: entry, client: client, seen: client.MarkSeen, cancel: cancel}
	s.hub.adopt(m)
	select {
	case <-client.Drained():
	case <-ctx.Done():
	}
	past, end := context.WithCancel(ctx)
	end()
	for {
		r, err := client.Next(past)
		if err != nil {
			break
		}
		s.accept(ctx, m, &r)
	}
	for waiting := true; waiting; {
		select {
		case e := <-client.Events():
			if p, ok := e.Frame.(wire.Push); ok {
				s.hub.event(m, &p)
			}
		default:
			waiting = false
		}
	}
	m.done.Go(func() { s.hub.follow(receiving, m) })
	m.done.Go(func() {
		for {
			r, err := client.Next(receiving)
			if err != nil {
				return
			}
			s.accept(receiving, m, &r)
		}
	})
	return m, nil
}

func (s *StandIn) accept(ctx context.Context, m *mesh, r *peer.Record) {
	if s.busy && !wire.Working.Allows(r.Priority) {
		return
	}
	s.hub.accept(ctx, m, r)
	if slices.Contains(s.announced, r.MessageID) {
		s.hub.post.announced(r.MessageID)
	}
}

// Mail implements peer.SessionHandler.
func (s *StandIn) Mail(ctx context.Context, req peer.MailRequest) (peer.MailAnswer, error) {
	req.CatchUpMillis = 0 // it has caught up since it is open
	a, err := s.inside.Mail(ctx, req)
	if a.Text != "" {
		a.Text += noServer + "\n"
	}
	return a, err
}

// Shown implements peer.SessionHandler. It returns when the brokers know.
func (s *StandIn) Shown(ctx context.Context, req peer.ShownRequest) error {
	err := s.inside.Shown(ctx, req)
	for _, m := range s.hub.all() {
		err = errors.Join(err, m.client.Flush(ctx))
	}
	return err
}

// Announced returns the messages, of those that have not been seen, of which the
// model was given the first line.
func (s *StandIn) Announced() []string { return s.hub.post.brief() }

// Close ends the connections.
func (s *StandIn) Close(ctx context.Context) { s.hub.close(ctx) }
