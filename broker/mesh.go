package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A mesh is one mesh in memory: its store, its members, its sessions and
// their mailboxes. Meshes share nothing but the process.
type mesh struct {
	// Static.
	srv   *Server
	db    *store.DB
	blobs *store.Blobs // the bytes of shared files
	log   *slog.Logger
	id    string

	wg sync.WaitGroup // pumps and other work for this mesh

	hooks   hookRates
	relays  relays       // requests that wait for other peers
	runs    runnerHolder // runs the services
	bundles bundles      // of skills that are deployed

	verifying atomic.Bool // somebody's audit_verify is served

	mu         sync.Mutex // guards all below; never held over a store call
	info       store.Mesh
	members    map[string]*member  // by id; unrevoked ones
	byKey      map[string]*member  // the same by key
	byAddr     map[int64]*member   // the same by the address of their key
	sessions   map[int64]*session  // by address: online or in their grace
	keyed      map[string]*session // the same by key, of those with a key of their own
	transients map[*session]bool
	boxes      map[int64]*mailbox           // by address, of those in use
	audience   map[string]map[*session]bool // who subscribes to a stream, by its name
	slots      int                          // connections of sessions, reserved ones included
	pending    []pendingStatus              // hook reports that came before their session
	markings   []marking                    // to be stored
	sweeping   bool                         // a sweep runs
	tidied     time.Time                    // when tidy ran
	closed     bool
	files      fileRoom
	watches    map[string]*watch // by id
	services   map[string]*service

	reminders *alarm   // for the next schedule that is due
	sim       simState // the clock of simulations

	arriving map[int64]*session // by address: in the transaction under way; owned by the writer's goroutine
}

// openMesh opens the mesh with that id. The sessions that were online when it
// was last open are in their grace now, so that a restart is no event to anybody.
func openMesh(ctx context.Context, srv *Server, id string) (*mesh, error) {
	path, err := store.MeshFile(srv.cfg.Data, id)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return nil, err
	}
	m := &mesh{
		srv: srv, db: db, blobs: store.OpenBlobs(path), id: id, log: srv.log.With("mesh", id),
		members: make(map[string]*member), byKey: make(map[string]*member), byAddr: make(map[int64]*member),
		sessions: make(map[int64]*session), keyed: make(map[string]*session), arriving: make(map[int64]*session), transients: make(map[*session]bool), boxes: make(map[int64]*mailbox),
		audience: make(map[string]map[*session]bool), watches: make(map[string]*watch),
		services: make(map[string]*service),
	}
	m.reminders, m.sim.alarm = &alarm{ring: m.inBackground(m.fireSchedules)}, &alarm{ring: m.inBackground(m.tickClock)}
	if err := db.Write(ctx, m.load); err != nil {
		return nil, errors.Join(fmt.Errorf("open mesh %s: %w", id, err), db.Close())
	}
	m.sweepBlobs(ctx)
	m.logFailed("remove what deployments of skills have left", os.RemoveAll(m.bundlesDir()))
	return m, nil
}

// load reads what is kept in memory. It runs before anybody else has the mesh.
func (m *mesh) load(tx *store.Tx) (err error) {
	if m.info, err = tx.Mesh(); err != nil {
		return err
	}
	if err := m.beginAudit(tx); err != nil {
		return err
	}
	rows, err := tx.Members()
	if err != nil {
		return err
	}
	for _, r := range rows {
		a, err := tx.EnsureAddress(r.PubKey, store.KindMember, r.ID, time.Now())
		if err != nil {
			return err
		}
		mb := newMember(r, a.ID)
		m.enroll(mb)
		last, err := tx.LatestSession(r.ID)
		if err == nil {
			mb.lastGroups, mb.lastHidden = wireGroups(last.Groups), !last.Visible
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if m.srv.atRest.unfinished() {
		if _, err := m.reseal(tx); err != nil {
			return err
		}
	}
	if err := m.openFeatures(tx); err != nil {
		return err
	}
	if err := m.restoreClock(tx); err != nil {
		return err
	}
	if err := m.arm(tx); err != nil {
		return err
	}
	return m.loadSessions(tx)
}

func (m *mesh) loadSessions(tx *store.Tx) error {
	rows, err := tx.OnlineSessions()
	if err != nil {
		return err
	}
	for _, r := range rows {
		mb := m.members[r.MemberID]
		if mb == nil {
			r.Online = false // revoked since
			if err := tx.SaveSession(r); err != nil {
				return err
			}
			continue
		}
		a, err := tx.AddressByID(r.Address)
		if err != nil {
			return err
		}
		s := m.savedSession(mb, a, r)
		if s.own, err = m.loadBox(tx, s.addr); err != nil {
			return err
		}
		if s.shared, err = m.loadBox(tx, mb.addr); err != nil {
			return err
		}
		m.boxes[s.own.addr], m.boxes[s.shared.addr] = s.own, s.shared
		m.enter(s)
		if err := m.loadSubscriptions(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// savedSession returns the session that r describes, in its grace.
func (m *mesh) savedSession(mb *member, a store.Address, r *store.Session) *session {
	s := &session{
		mesh: m, member: mb, addr: a.ID, key: wireKey(a.Key), presence: store.NewID(), name: r.DisplayName,
		summary: r.Summary, connected: r.Connected, goneAt: time.Now(), status: newStatus(),
		hello: wire.Hello{SessionID: r.HostSession, Role: r.Role, Cwd: r.Cwd, Hostname: r.Hostname, PID: r.PID,
			PeerType: r.PeerType, Channel: r.Channel, Model: r.Model, Proto: r.Proto},
	}
	s.restore(r)
	return s
}

// wireKey returns what others know an address by. A session without a key of
// its own has its member's, and a mailbox under that key and its host session.
func wireKey(key string) string { return key[:min(len(key), 64)] }

// loadBox returns the mailbox of an address, from memory or the store. It
// runs in a write, so that no delivery can be added meanwhile; the caller puts
// it in m.boxes after the commit, unless somebody else has.
func (m *mesh) loadBox(tx *store.Tx, addr int64) (*mailbox, error) {
	m.mu.Lock()
	b := m.boxes[addr]
	m.mu.Unlock()
	if b != nil {
		return b, nil
	}
	rows, err := tx.Pending(addr)
	if err != nil {
		return nil, err
	}
	return newMailbox(addr, rows), nil
}

// box returns the mailbox in use for b's address, which is b if there is none
// yet. It is called with m.mu held.
func (m *mesh) box(b *mailbox) *mailbox {
	if have := m.boxes[b.addr]; have != nil {
		return have
	}
	m.boxes[b.addr] = b
	return b
}

// enroll puts a member into the tables. It is called with m.mu held, or
// before anybody else has the mesh.
func (m *mesh) enroll(mb *member) {
	m.members[mb.id], m.byKey[mb.key], m.byAddr[mb.addr] = mb, mb, mb
}

func newMember(r *store.Member, addr int64) *member {
	return &member{
		id: r.ID, key: r.PubKey, addr: addr, name: r.DisplayName, permission: wire.Permission(r.Permission),
		roleTag: r.RoleTag, groups: wireGroups(r.Groups), mode: r.MessageMode, joined: r.Joined, lastSeen: r.LastSeen,
	}
}

// background runs fn in a goroutine that close waits for, unless the mesh is
// closed. It is called with m.mu held.
func (m *mesh) background(fn func()) {
	if !m.closed {
		m.wg.Go(fn)
	}
}

// tryBackground is background for who does not hold m.mu. It reports whether fn runs.
func (m *mesh) tryBackground(fn func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.background(fn)
	return !m.closed
}

// inBackground returns what an alarm does that has fn run in the background.
func (m *mesh) inBackground(fn func()) func(time.Time) {
	return func(time.Time) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.background(fn)
	}
}

// write is store.DB.Write for a write that keeps something on the writer's
// goroutine while it is under way: settled is called there when it is over.
func (m *mesh) write(fn func(*store.Tx) error, settled func(error)) error {
	done := make(chan error, 1)
	err := m.db.Enqueue(context.Background(), fn, func(err error) {
		settled(err)
		done <- err
	})
	if err != nil {
		return err
	}
	return <-done
}

// enter makes s present. It is called with m.mu held.
func (m *mesh) enter(s *session) {
	m.sessions[s.addr] = s
	if s.key != s.member.key {
		m.keyed[s.key] = s
	}
	s.member.live = slices.Insert(s.member.live, 0, s)
}

// leave ends s's presence. It is called with m.mu held.
func (m *mesh) leave(s *session) {
	m.deafenAll(s)
	delete(m.sessions, s.addr)
	delete(m.keyed, s.key)
	s.member.live = slices.DeleteFunc(s.member.live, func(o *session) bool { return o == s })
}

// close waits for the work under way and closes the store.
func (m *mesh) close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.runs.close()
	m.bundles.close()
	m.wg.Wait()
	return m.db.Close()
}
