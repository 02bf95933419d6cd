package lend

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

const (
	startTime   = 20 * time.Second // for a server to start and tell its tools
	firstPause  = time.Second      // between two starts of a server that ends
	longestWait = time.Minute
)

// Source finds the server of a name, and reports whether there is one.
type Source func(name string) (s peer.ToolServer, ok bool, err error)

// A Lender runs the servers of a configuration from their first use on, and
// starts one that has ended again when it is used. It is safe for concurrent use.
type Lender struct {
	source  Source
	log     *slog.Logger
	changed func(name string)

	ctx    context.Context // of the servers; Close ends it
	cancel context.CancelFunc

	mu      sync.Mutex
	entries map[string]*entry // by name
	closed  bool
}

// An entry is a server that was used.
type entry struct {
	mu     sync.Mutex         // held while it starts
	server *toolserver.Server // nil before it has started
	pause  time.Duration
	began  time.Time // when it was last started
}

// New returns a Lender of the servers that source finds, which is asked at each
// use. changed, unless nil, is called when a server says that its tools are
// others now; it must not wait. The caller closes the Lender.
func New(source Source, log *slog.Logger, changed func(name string)) *Lender {
	l := &Lender{source: source, log: log, changed: changed, entries: make(map[string]*entry)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Close ends all servers and waits for them, a second or so.
func (l *Lender) Close() {
	l.mu.Lock()
	l.closed = true
	names := slices.Collect(maps.Keys(l.entries))
	l.mu.Unlock()
	l.cancel()
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { l.Stop(name) })
	}
	wg.Wait()
}

// Has reports whether there is a server of that name.
func (l *Lender) Has(name string) (bool, error) {
	_, ok, err := l.source(name)
	return ok, err
}

// Stop ends a server, if it runs, until it is used again.
func (l *Lender) Stop(name string) {
	l.mu.Lock()
	e := l.entries[name]
	delete(l.entries, name)
	l.mu.Unlock()
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		e.server.Close()
	}
}

// Tools returns the tools of a server, which it starts if it must.
func (l *Lender) Tools(ctx context.Context, name string) ([]wire.MCPTool, error) {
	s, err := l.use(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Tools(ctx)
}

// Call calls a tool of a server, which it starts if it must, and returns the
// whole result of the call, at most wire.MaxCallResult bytes.
func (l *Lender) Call(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error) {
	s, err := l.use(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Call(ctx, tool, args)
}

// use returns a server that runs.
func (l *Lender) use(ctx context.Context, name string) (*toolserver.Server, error) {
	source, ok, err := l.source(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("the configuration names no tool server %q any more", name)
	}
	l.mu.Lock()
	e := l.entries[name]
	if l.closed {
		l.mu.Unlock()
		return nil, fmt.Errorf("the host of %q is ending", name)
	}
	if e == nil {
		e = new(entry)
		l.entries[name] = e
	}
	l.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil && !e.server.Ended() {
		return e.server, nil
	}
	return l.start(ctx, name, source, e)
}

// start starts a server, unless it has ended just now. It is called with e.mu held.
func (l *Lender) start(ctx context.Context, name string, source peer.ToolServer, e *entry) (*toolserver.Server, error) {
	if wait := e.pause - time.Since(e.began); e.server != nil && wait > 0 {
		return nil, fmt.Errorf("the tool server %q has ended (%w): it is started again in %s", name, e.server.Why(), wait.Round(time.Second))
	}
	if e.server != nil {
		e.server.Close()
	}
	if time.Since(e.began) > longestWait {
		e.pause = 0 // it has run for a while
	}
	e.began, e.pause = time.Now(), min(max(2*e.pause, firstPause), longestWait)
	opts := toolserver.Options{Log: l.log.With("server", name)}
	if l.changed != nil {
		opts.Changed = func() { l.changed(name) }
	}
	s, err := open(l.ctx, source, opts)
	if err != nil {
		return nil, fmt.Errorf("the tool server %q does not start: %w", name, err)
	}
	e.server = s
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	if err := s.Greet(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("the tool server %q does not start: %w", name, err)
	}
	return s, nil
}
