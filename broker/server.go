package broker

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// Server is a broker: one data directory, one listener.
type Server struct {
	// Static.
	cfg      Config
	log      *slog.Logger
	lock     *store.DirLock
	identity *store.Server
	routes   map[wire.Type]route
	metrics  *metrics
	started  time.Time
	unopened []string // meshes that could not be opened
	guard    hostGuard
	tickets  *seal.Tickets   // to download files
	key      seal.PrivateKey // vouches for audit logs
	atRest   *atRest         // what is kept for members and must stay secret

	replays  replays
	limits   rateLimits
	carried  transfers
	sockets  socketCount
	conns    sync.WaitGroup // connections being served
	stopping atomic.Bool
	wake     chan struct{} // tells the clock that there is something to watch
	alarms   *alarms
	fetch    *fetcher                       // looks at URLs
	services func() *serviceMachine         // what services are run with, found out when there is one
	machine  atomic.Pointer[serviceMachine] // that it has returned
	polls    pollers

	mu     sync.Mutex // guards all below
	meshes map[string]*mesh
	open   map[*conn]struct{}
	addr   netip.AddrPort // where it listens

	making sync.Mutex // held while a mesh is made
}

// Open locks the data directory of cfg, which it makes if need be, and opens
// every mesh in it.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	lock, err := store.LockDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	identity, err := store.OpenServer(cfg.Data)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	srv := &Server{
		cfg: cfg, log: cfg.Log, lock: lock, identity: identity, routes: tableOf(routes()), started: time.Now(),
		wake: make(chan struct{}, 1), alarms: newAlarms(), meshes: make(map[string]*mesh), open: make(map[*conn]struct{}),
	}
	if srv.tickets, err = seal.NewTickets(identity.Key); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	srv.key = seal.ServerKey(identity.Key)
	if srv.atRest, err = openAtRest(cfg.Data, identity); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	allowed, err := parsePrefixes("watch-allow", cfg.WatchAllow)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	srv.fetch = newFetcher(newNetGuard(allowed), nil)
	srv.services = sync.OnceValue(func() *serviceMachine {
		m := newServiceMachine(&srv.cfg)
		srv.machine.Store(m)
		return m
	})
	srv.metrics = newMetrics(srv)
	srv.guard = newHostGuard(&cfg)
	srv.limits.perMinute = cfg.HTTPRate
	srv.atRest.alarm = &alarm{ring: func(time.Time) { srv.conns.Go(srv.finishRotation) }}
	if err := srv.openMeshes(ctx); err != nil {
		return nil, errors.Join(err, srv.Close())
	}
	srv.resumeRotation()
	return srv, nil
}

// openMeshes opens every mesh that can be opened. It is an error if none can.
func (srv *Server) openMeshes(ctx context.Context) error {
	ids, err := store.Meshes(srv.cfg.Data)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		m, err := openMesh(ctx, srv, id)
		if err != nil {
			srv.unopened = append(srv.unopened, id)
			srv.log.Error("a mesh cannot be opened and is left out", "mesh", id, "err", err)
			errs = append(errs, err)
			continue
		}
		srv.meshes[id] = m
	}
	if len(srv.meshes) > 0 {
		return nil // the others do not suffer for it; /health says so
	}
	return errors.Join(errs...)
}

// AdminToken returns the secret that lets its holder make meshes on this broker.
func (srv *Server) AdminToken() string { return srv.identity.AdminToken }

// Vacant reports whether the broker has no members at all, as on its first start.
func (srv *Server) Vacant() bool {
	if len(srv.unopened) > 0 {
		return false
	}
	for _, m := range srv.all() {
		m.mu.Lock()
		n := len(m.members)
		m.mu.Unlock()
		if n > 0 {
			return false
		}
	}
	return true
}

// MeshIDs returns the ids of the meshes of the broker.
func (srv *Server) MeshIDs() []string {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Sorted(maps.Keys(srv.meshes))
}

// Listen opens the broker's socket.
func (srv *Server) Listen(ctx context.Context) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", srv.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", srv.cfg.Listen, err)
	}
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	srv.mu.Lock()
	srv.addr = addr
	srv.mu.Unlock()
	return ln, srv.lock.SetAddress(addr.String())
}

// SocketURL returns the WebSocket URL of the broker. Listen comes first.
func (srv *Server) SocketURL() string {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.cfg.SocketURL(srv.addr)
}

// Serve serves on ln until ctx ends, then shuts down: connections are closed
// with 1001, what is under way is finished, sessions are saved. It closes the
// broker.
func (srv *Server) Serve(ctx context.Context, ln net.Listener) error {
	hs := &http.Server{
		Handler: srv.handler(), ReadHeaderTimeout: wire.HelloDeadline, ReadTimeout: time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(srv.log.Handler(), slog.LevelDebug),
	}
	clock := make(chan struct{})
	clockCtx, stopClock := context.WithCancel(context.WithoutCancel(ctx))
	defer stopClock()
	go func() {
		defer close(clock)
		srv.runClock(clockCtx)
	}()
	served := make(chan error, 1)
	go func() { served <- hs.Serve(ln) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	stopClock()
	<-clock
	return errors.Join(ignoreClosed(err), srv.shutdown(hs))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown ends the connections and closes the broker, within a bound.
func (srv *Server) shutdown(hs *http.Server) error {
	srv.stopping.Store(true)
	srv.polls.stop()
	srv.carried.stop() // who downloads goes on when the broker is back
	ctx, cancel := context.WithTimeout(context.Background(), srv.cfg.ShutdownWithin)
	defer cancel()
	err := hs.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = hs.Close()
	}
	for _, c := range srv.connected() {
		c.close(wire.CloseShutdown, "shutting down")
	}
	over := time.AfterFunc(srv.cfg.ShutdownWithin/2, func() {
		for _, c := range srv.connected() {
			c.socket.Close() // CloseNow would wait for the handshake too
		}
	})
	srv.conns.Wait()
	over.Stop()
	return errors.Join(err, srv.Close())
}

// connected returns the connections that are open.
func (srv *Server) connected() []*conn {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Keys(srv.open))
}

// Close closes the meshes and gives the data directory free.
func (srv *Server) Close() error {
	srv.stopping.Store(true)
	srv.polls.stop()
	srv.mu.Lock()
	meshes := srv.meshes
	srv.meshes = make(map[string]*mesh)
	srv.mu.Unlock()
	var errs []error
	for _, m := range meshes {
		errs = append(errs, m.close())
	}
	if m := srv.machine.Swap(nil); m != nil {
		errs = append(errs, m.confiner.Close())
	}
	return errors.Join(append(errs, srv.lock.Unlock())...)
}

// meshByID returns a mesh, nil if there is none with that id.
func (srv *Server) meshByID(id string) *mesh {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.meshes[id]
}

func (srv *Server) all() []*mesh {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.meshes))
}

// isAdmin compares a token with the broker's in constant time.
func (srv *Server) isAdmin(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(srv.identity.AdminToken)) == 1
}

func (srv *Server) queueDepth() (n int64) {
	for _, m := range srv.all() {
		n += m.db.QueueDepth()
	}
	return n
}
