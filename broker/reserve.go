package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"claudemesh/store"
	"claudemesh/wire"
)

// A reserveCheck is a Reserve that is right by itself, with what was found out
// of its patterns before the transaction that decides.
type reserveCheck struct {
	req      *wire.Reserve
	patterns []wire.Pattern
	ttl      time.Duration
	meets    map[string]bool // stored patterns → whether they overlap one of these
}

func (m *mesh) reservePaths(c *call, req wire.Reserve) (wire.ReservationList, error) {
	res := wire.ReservationList{}
	check, err := m.checkReserve(c, &req)
	if err != nil {
		return res, err
	}
	err = m.contribute(c, func(tx *store.Tx) error {
		made, err := m.reserveIn(tx, c.session, check, "", time.Now())
		res.Reservations = wireReservations(m, made)
		return err
	})
	return res, err
}

// checkReserve checks a request and compares its patterns with those that are
// there. Patterns can be made to take long: the writer of the store is spared that.
func (m *mesh) checkReserve(c *call, req *wire.Reserve) (*reserveCheck, error) {
	k := &reserveCheck{req: req, ttl: wire.ReserveFor, meets: make(map[string]bool)}
	if req.TTL != 0 {
		k.ttl = time.Duration(min(req.TTL, int64(wire.MaxReserveFor/time.Second)+1)) * time.Second
	}
	switch {
	case req.Repo == "" || utf8.RuneCountInString(req.Repo) > wire.MaxRepo || wire.HasControl(req.Repo):
		return nil, wire.Errorf(wire.BadRequest, "repo must have 1 to %d characters without control characters", wire.MaxRepo)
	case len(req.Patterns) == 0:
		return nil, wire.Errorf(wire.BadRequest, "give 1 to %d patterns", wire.MaxPatterns)
	case k.ttl <= 0 || k.ttl > wire.MaxReserveFor:
		return nil, wire.Errorf(wire.BadRequest, "ttl must be 1 second to %d days", wire.MaxReserveFor/(24*time.Hour))
	case wire.HasControl(req.Reason):
		return nil, wire.Errorf(wire.BadRequest, "reason must be one line without control characters")
	}
	err := cmp.Or(few("patterns", req.Patterns, wire.MaxPatterns), fits("reason", req.Reason, wire.MaxReason))
	if err != nil {
		return nil, err
	}
	if k.patterns, err = parsePatterns(req.Patterns); err != nil {
		return nil, err
	}
	err = m.db.Read(context.Background(), func(rx *store.Rx) error {
		_, err := k.conflicts(rx, c.session, time.Now())
		return err
	})
	return k, err
}

// parsePatterns reads patterns, each once.
func parsePatterns(texts []string) ([]wire.Pattern, error) {
	var patterns []wire.Pattern
	for _, text := range texts {
		p, err := wire.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(patterns, func(q wire.Pattern) bool { return q.String() == p.String() }) {
			patterns = append(patterns, p)
		}
	}
	return patterns, nil
}

// conflicts returns the reservations of others that are in the way.
func (k *reserveCheck) conflicts(rx *store.Rx, s *session, now time.Time) ([]*store.Reservation, error) {
	all, err := rx.Reservations(k.req.Repo, 0, now, wire.MaxReservations)
	if err != nil {
		return nil, err
	}
	var found []*store.Reservation
	for _, v := range all {
		if v.Holder != s.addr && !(v.Shared && k.req.Shared) && k.overlaps(v.Pattern) {
			found = append(found, v)
		}
	}
	return found, nil
}

// overlaps reports whether a stored pattern meets one of the request's.
func (k *reserveCheck) overlaps(stored string) bool {
	met, known := k.meets[stored]
	if known {
		return met
	}
	q, err := wire.ParsePattern(stored)
	met = err != nil // what cannot be read excludes all
	for _, p := range k.patterns {
		met = met || p.Overlaps(q)
	}
	k.meets[stored] = met
	return met
}

// reserveIn makes the reservations, for a claim of taskID if it is not "".
func (m *mesh) reserveIn(tx *store.Tx, s *session, k *reserveCheck, taskID string, now time.Time) ([]*store.Reservation, error) {
	found, err := k.conflicts(&tx.Rx, s, now)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, m.conflict(found)
	}
	present, err := isPresent(tx, s)
	if err != nil {
		return nil, err
	}
	if k.req.UntilGone && !present {
		return nil, wire.Errorf(wire.BadRequest, "untilGone needs a session that is present: give a ttl alone")
	}
	if err := tx.ExpireReservations(now); err != nil {
		return nil, err
	}
	var made []*store.Reservation
	for _, p := range k.patterns {
		v := &store.Reservation{ID: store.NewID(), Repo: k.req.Repo, Pattern: p.String(), Shared: k.req.Shared, Holder: s.addr, Key: s.key, MemberID: s.member.id,
			Name: s.name, Reason: k.req.Reason, TaskID: taskID, Bound: k.req.UntilGone, Reserved: now, Expires: now.Add(k.ttl)}
		err := tx.AddReservation(v, wire.MaxReservations)
		if errors.Is(err, store.ErrLimit) {
			return nil, wire.Errorf(wire.Limit, "the mesh has %d reservations, the most it may: release some first, or reserve a directory", wire.MaxReservations)
		}
		if err != nil {
			return nil, err
		}
		made = append(made, v)
	}
	return made, m.audit(tx, s.actor(), wire.AuditPathsReserved, audited{"repo": k.req.Repo, "patterns": patternsOf(made), "shared": k.req.Shared})
}

func patternsOf(all []*store.Reservation) []string {
	var patterns []string
	for _, v := range all {
		patterns = append(patterns, v.Pattern)
	}
	return patterns
}

// conflict names who is in the way.
func (m *mesh) conflict(found []*store.Reservation) error {
	e := &wire.Error{Code: wire.Reserved, Conflicts: wireReservations(m, found[:min(len(found), wire.MaxCandidates)])}
	var words []string
	for _, r := range e.Conflicts[:min(len(e.Conflicts), 3)] {
		kind := "exclusively"
		if r.Shared {
			kind = "to share"
		}
		text := fmt.Sprintf("%s is reserved %s by %s (%s…) until %s", r.Pattern, kind, r.Holder, r.HolderPubkey[:8], r.ExpiresAt)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		words = append(words, text)
	}
	if more := len(found) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	e.Message = strings.Join(words, "; ") + ". Ask the holder, or reserve less"
	return e
}

func (m *mesh) releasePaths(c *call, req wire.Release) (wire.ReservationList, error) {
	res := wire.ReservationList{}
	if len(req.IDs) > wire.MaxPatterns || len(req.Patterns) > wire.MaxPatterns || (len(req.IDs) > 0) == (req.Repo != "") {
		return res, wire.Errorf(wire.BadRequest, "give up to %d ids, or a repo and up to as many patterns", wire.MaxPatterns)
	}
	patterns, err := parsePatterns(req.Patterns)
	if err != nil {
		return res, err
	}
	err = m.contribute(c, func(tx *store.Tx) error {
		var ended []*store.Reservation
		var err error
		if len(req.IDs) > 0 {
			ended, err = m.releasable(tx, c.session, req.IDs)
		} else {
			ended, err = ownReservations(tx, c.session, req.Repo, patterns)
		}
		for _, v := range ended {
			if err == nil {
				err = tx.DeleteReservation(v.ID)
			}
		}
		if err == nil && len(ended) > 0 {
			err = m.audit(tx, c.session.actor(), wire.AuditPathsReleased, audited{"patterns": patternsOf(ended)})
		}
		res.Reservations = wireReservations(m, ended)
		return err
	})
	return res, err
}

// releasable returns the reservations with these ids, which s must be allowed to end.
func (m *mesh) releasable(tx *store.Tx, s *session, ids []string) ([]*store.Reservation, error) {
	var all []*store.Reservation
	for _, id := range ids {
		v, err := tx.Reservation(id, time.Now())
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, wire.Errorf(wire.NotFound, "there is no reservation %q: it may be over", wire.Shorten(id, 40))
		case err != nil:
			return nil, err
		case v.MemberID != s.member.id && !m.isAdmin(s.member):
			return nil, wire.Errorf(wire.Forbidden, "%s is reserved by %s: only that member and admins may release it; ask for it", v.Pattern, v.Name)
		}
		all = append(all, v)
	}
	return all, nil
}

// ownReservations returns those that s holds in a repository, of these patterns
// if there are any. What a member reserved without a session is found by it
// alone; a member without a session finds what its sessions hold too.
func ownReservations(tx *store.Tx, s *session, repo string, patterns []wire.Pattern) ([]*store.Reservation, error) {
	all, err := tx.Reservations(repo, 0, time.Now(), wire.MaxReservations)
	var own []*store.Reservation
	for _, v := range all {
		if v.Holder != s.addr && !(s.addr == s.member.addr && v.MemberID == s.member.id) {
			continue
		}
		asked := len(patterns) == 0
		for _, p := range patterns {
			asked = asked || p.String() == v.Pattern
		}
		if asked {
			own = append(own, v)
		}
	}
	return own, err
}

func (m *mesh) listReservations(_ *call, req wire.ListReservations) (wire.ReservationList, error) {
	var page []*store.Reservation
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		page, err = rx.Reservations(req.Repo, req.After, time.Now(), wire.MaxReservedPage+1)
		return err
	})
	res := wire.ReservationList{}
	if len(page) > wire.MaxReservedPage {
		page = page[:wire.MaxReservedPage]
		res.Next = page[len(page)-1].N
	}
	res.Reservations = wireReservations(m, page)
	return res, err
}

// wireReservations describes reservations.
func wireReservations(m *mesh, all []*store.Reservation) []wire.Reservation {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]wire.Reservation, 0, len(all))
	for _, v := range all {
		r := wire.Reservation{ID: v.ID, Repo: v.Repo, Pattern: v.Pattern, Shared: v.Shared, Holder: v.Name, HolderPubkey: v.Key,
			Reason: v.Reason, TaskID: v.TaskID, UntilGone: v.Bound, ReservedAt: wire.Time(v.Reserved), ExpiresAt: wire.Time(v.Expires)}
		if mb := m.members[v.MemberID]; mb != nil {
			r.HolderMember = mb.key
		}
		out = append(out, r)
	}
	return out
}
