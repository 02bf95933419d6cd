package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// recently is how long a member who is offline is still part of multicasts.
const recently = 7 * 24 * time.Hour

// A plan is whom a message goes to, decided in the transaction that accepts it.
type plan struct {
	target  string // as it is stored and pushed
	addrs   []int64
	boxes   []*mailbox // of addrs
	full    int        // recipients left out, because their mailboxes are full
	unknown bool       // nobody has ever used the key
	first   *session   // who gets it rather than others who drain the same mailbox, if not nil
	source  string     // of an event: what made it
	over    int        // deliveries of older events of the source that gave way to it
}

// recipients is how many there are, those without room included.
func (p *plan) recipients() int { return len(p.boxes) + p.full }

// An origin is who a message comes from, and is not among its own recipients.
type origin struct {
	addr   int64 // of the session
	member *member
	hidden bool   // its multicasts reach who hides too
	source string // of an event: what made it
}

// resolve turns a target into recipients.
func (m *mesh) resolve(tx *store.Tx, from origin, t wire.Target, exclude []string) (*plan, error) {
	p := &plan{target: t.String(), source: from.source}
	if t.Multicast() {
		return p, m.planMulticast(tx, p, from, t, exclude)
	}
	a, err := m.addressOf(tx, t)
	if err != nil {
		return nil, err
	}
	p.target, p.unknown = a.Key, a.Kind == store.KindUnknown
	return p, m.includeOne(tx, p, a)
}

// includeOne adds the only recipient.
func (m *mesh) includeOne(tx *store.Tx, p *plan, a store.Address) error {
	ok, err := m.include(tx, p, a.ID)
	if err == nil && !ok {
		err = wire.Errorf(wire.Limit, "%s… has %d messages waiting, the most it may: try again when it has read some", a.Key[:12], m.srv.cfg.MailboxCap)
	}
	return err
}

// addressOf returns the one address that t names. Those of members and of
// sessions that are here are known without asking the store.
func (m *mesh) addressOf(tx *store.Tx, t wire.Target) (store.Address, error) {
	if t.Kind == wire.ToPrefix {
		return m.byPrefix(tx, t.Name)
	}
	m.mu.Lock()
	s, mb := m.keyed[t.Name], m.byKey[t.Name]
	m.mu.Unlock()
	switch {
	case s != nil:
		return store.Address{ID: s.addr, Key: s.key, Kind: store.KindSession, MemberID: s.member.id}, nil
	case mb != nil:
		return store.Address{ID: mb.addr, Key: mb.key, Kind: store.KindMember, MemberID: mb.id}, nil
	}
	return tx.EnsureAddress(t.Name, store.KindUnknown, "", time.Now())
}

// include adds a recipient, unless its mailbox is full. Of an event, the oldest
// of its source give way there, so that no source fills a mailbox.
func (m *mesh) include(tx *store.Tx, p *plan, addr int64) (ok bool, err error) {
	b, err := m.loadBox(tx, addr)
	if err != nil {
		return false, err
	}
	gone, err := m.giveWay(tx, p, addr)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	n := len(b.items)
	b.used = time.Now()
	m.mu.Unlock()
	if n-gone >= m.srv.cfg.MailboxCap {
		return false, nil
	}
	p.addrs, p.boxes = append(p.addrs, addr), append(p.boxes, b)
	return true, nil
}

// byPrefix returns the one address whose key begins with prefix.
func (m *mesh) byPrefix(tx *store.Tx, prefix string) (store.Address, error) {
	found, err := tx.AddressesByPrefix(prefix, 4*wire.MaxCandidates)
	if err != nil {
		return store.Address{}, err
	}
	found = slices.DeleteFunc(found, func(a store.Address) bool { return strings.Contains(a.Key, "/") || a.Kind == store.KindUnknown })
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return store.Address{}, wire.Errorf(wire.UnknownRecipient, "no key of this mesh begins with %s: list the peers, or send to the full key", prefix)
	}
	e := &wire.Error{Code: wire.Ambiguous, Message: fmt.Sprintf("%d keys begin with %s: give more digits", len(found), prefix)}
	for _, a := range found[:min(len(found), wire.MaxCandidates)] {
		e.Candidates = append(e.Candidates, wire.Candidate{Pubkey: a.Key, Name: m.nameOf(a)})
	}
	return store.Address{}, e
}

// planMulticast adds the sessions that match, and the members who are offline
// but were here lately.
func (m *mesh) planMulticast(tx *store.Tx, p *plan, from origin, t wire.Target, exclude []string) error {
	for _, addr := range m.multicast(from, t, exclude) {
		ok, err := m.include(tx, p, addr)
		if err != nil {
			return err
		}
		if !ok {
			p.full++
		}
	}
	if p.full > 0 {
		m.srv.metrics.dropped(dropMailboxFull, p.full)
	}
	return nil
}

func (m *mesh) multicast(from origin, t wire.Target, exclude []string) []int64 {
	excluded := make(map[string]bool, len(exclude))
	for _, key := range exclude {
		excluded[strings.ToLower(key)] = true
	}
	match := func(groups []wire.Group) bool { return t.Kind == wire.ToAll || wire.AnyMatches(groups, t.Name) }
	m.mu.Lock()
	defer m.mu.Unlock()
	var addrs []int64
	for addr, s := range m.sessions {
		if addr != from.addr && (!s.hidden || from.hidden) && match(s.groups) && !excluded[s.key] {
			addrs = append(addrs, addr)
		}
	}
	now := time.Now()
	for _, mb := range m.members {
		if len(mb.live) > 0 || mb == from.member || mb.lastHidden && !from.hidden || excluded[mb.key] || now.Sub(mb.lastHere()) > recently {
			continue
		}
		if match(mb.groups) || match(mb.lastGroups) {
			addrs = append(addrs, mb.addr)
		}
	}
	slices.Sort(addrs)
	return addrs
}

// lastHere is when the member was here last; to have joined counts.
func (mb *member) lastHere() time.Time {
	if mb.lastSeen.After(mb.joined) {
		return mb.lastSeen
	}
	return mb.joined
}

// nameOf returns the name people know an address by, "" if there is none.
func (m *mesh) nameOf(a store.Address) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[a.ID]; s != nil {
		return s.name
	}
	if mb := m.members[a.MemberID]; mb != nil {
		return mb.name
	}
	return ""
}
