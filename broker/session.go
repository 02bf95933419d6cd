package broker

import (
	"encoding/json"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A member is an enrolled identity. Its values are guarded by the mutex of its mesh.
type member struct {
	id   string // constant
	key  string // constant
	addr int64  // constant: address of its own key

	name       string
	permission wire.Permission
	roleTag    string
	groups     []wire.Group // defaults
	mode       string
	joined     time.Time
	lastSeen   time.Time

	leaving bool // its revocation is under way; owned by the writer's goroutine

	live []*session // online or in their grace, the newest first

	// Where it was when it was last here, for multicast to those who are not.
	lastGroups []wire.Group
	lastHidden bool
}

// A session is a peer's presence in a mesh for the time of one connection and
// the grace after it. One that returns is a new value that inherits from the
// old; what outlives the grace is in the store.
type session struct {
	// Static.
	mesh      *mesh
	member    *member
	presence  string     // id
	addr      int64      // address of its own mailbox
	key       string     // what others send to: its key, or its member's
	hello     wire.Hello // what it said of itself
	name      string
	connected time.Time // when the presence began

	// Guarded by mesh.mu.
	conn    *conn // nil in the grace
	goneAt  time.Time
	groups  []wire.Group
	profile wire.Profile
	hidden  bool
	summary string
	status  statusRecord
	stats   statsRecord

	// staged is what a write under way makes of the session, nil if none is.
	// It is owned by the writer of the store, for the next write to go on from.
	staged *session

	own, shared *mailbox        // its own mail, and its member's
	inflight    int             // items leased to it
	pushed      int             // messages handed to it on this connection
	pumping     bool            // a pump runs
	behind      bool            // something may wait that was not pushed when it came
	drained     bool            // the drained frame was sent
	markings    int             // acknowledgements of it that wait to be stored
	subscribed  map[string]bool // streams, by name; nil for none
	offered     map[string]bool // services that it was told of, by name; nil for none
	noticed     int64           // the newest notice pushed to it
	unnoticed   bool            // notices wait for room in its outbox
}

// takesMail reports whether messages may be pushed to s.
func (s *session) takesMail() bool { return s.conn != nil && (!s.hello.Transient || s.hello.Drain) }

// mayWrite refuses a member whose revocation has just been written. It is
// called on the writer's goroutine.
func (s *session) mayWrite() error {
	if s.member.leaving {
		return refused(wire.Unauthorized)
	}
	return nil
}

// boxes returns the mailboxes that s drains.
func (s *session) boxes() []*mailbox {
	if s.own == nil || s.own == s.shared {
		return []*mailbox{s.shared}
	}
	return []*mailbox{s.own, s.shared}
}

// row is what the store keeps of s.
func (s *session) row(online bool) *store.Session {
	profile, _ := json.Marshal(s.profile) // strings always encode
	return &store.Session{
		Address: s.addr, MemberID: s.member.id, HostSession: s.hello.SessionID, DisplayName: s.name,
		Groups: storeGroups(s.groups), Profile: profile, Visible: !s.hidden, Summary: s.summary,
		Stats: store.Stats(s.stats.total()), Role: s.hello.Role, Cwd: s.hello.Cwd, Hostname: s.hello.Hostname,
		PID: s.hello.PID, PeerType: s.hello.PeerType, Channel: s.hello.Channel, Model: s.hello.Model,
		Online: online, Connected: s.connected, LastSeen: time.Now(), Proto: s.hello.Proto,
	}
}

// inherit takes over the presence of the session's previous connection.
func (s *session) inherit(prev *session) {
	s.connected, s.groups, s.profile, s.hidden, s.summary, s.status = prev.connected, prev.groups, prev.profile, prev.hidden, prev.summary, prev.status
	s.stats.base = prev.stats.total()
}

// restore takes over what the store kept.
func (s *session) restore(r *store.Session) {
	s.groups = wireGroups(r.Groups)
	s.hidden = !r.Visible
	if len(r.Profile) > 0 {
		json.Unmarshal(r.Profile, &s.profile) // written by row
	}
	s.stats.base = counters(r.Stats)
}

func storeGroups(gs []wire.Group) []store.Group {
	out := make([]store.Group, len(gs))
	for i, g := range gs {
		out[i] = store.Group(g)
	}
	return out
}

func wireGroups(gs []store.Group) []wire.Group {
	out := make([]wire.Group, len(gs))
	for i, g := range gs {
		out[i] = wire.Group(g)
	}
	return out
}

// counters are the counts that outlive a session's process.
type counters struct{ MessagesIn, MessagesOut, ToolCalls, Errors int64 }

// A statsRecord keeps a session's counters. A process that reports cumulative
// numbers, because it began with the ones it was given, must not have them
// added twice: its report is cumulative if no counter is below the base.
type statsRecord struct {
	base     counters // when the process began
	reported *wire.Stats
}

func (r statsRecord) total() counters {
	if r.reported == nil {
		return r.base
	}
	c := counters{int64(r.reported.MessagesIn), int64(r.reported.MessagesOut), int64(r.reported.ToolCalls), int64(r.reported.Errors)}
	b := r.base
	if c.MessagesIn >= b.MessagesIn && c.MessagesOut >= b.MessagesOut && c.ToolCalls >= b.ToolCalls && c.Errors >= b.Errors {
		return c
	}
	return counters{b.MessagesIn + c.MessagesIn, b.MessagesOut + c.MessagesOut, b.ToolCalls + c.ToolCalls, b.Errors + c.Errors}
}
