package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	notifyChange   = "change"
	notifyMatch    = "match:"
	notifyNotMatch = "not_match:"
	errorValue     = "error: "       // what stands for the value of a look that failed
	maxBackOff     = time.Hour       // between two looks at what fails, unless they are that seldom anyway
	spread         = time.Minute     // over which the first looks after a start are spread
	returnSpread   = 5 * time.Second // the same, after a member has returned
)

func knownNotify(on string) bool {
	return on == notifyChange || strings.HasPrefix(on, notifyMatch) || strings.HasPrefix(on, notifyNotMatch)
}

// startWatch has w looked at from then on. It runs after the commit, or before
// anybody else has the mesh.
func (m *mesh) startWatch(w *watch, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches[w.id] = w
	m.srv.alarms.set(w.alarm, at)
}

// endWatch forgets w, whose row is gone.
func (m *mesh) endWatch(w *watch) {
	m.mu.Lock()
	if m.watches[w.id] == w {
		delete(m.watches, w.id)
	}
	m.srv.alarms.stop(w.alarm)
	m.mu.Unlock()
	m.srv.polls.remove(w)
}

// loadWatches begins with the watches of the store, not with all at once.
func (m *mesh) loadWatches(tx *store.Tx) error {
	rows, err := tx.Watches()
	for _, row := range rows {
		m.startWatch(m.newWatch(row), time.Now().Add(time.Second+rand.N(min(spread, time.Duration(row.Interval)*time.Second))))
	}
	return err
}

// endMemberWatches ends the watches of a member who is being revoked.
func (m *mesh) endMemberWatches(tx *store.Tx, memberID string) error {
	tx.AfterCommit(func() {
		for _, w := range m.watchesOf(memberID) {
			m.endWatch(w)
		}
	})
	return tx.DeleteWatches(memberID)
}

func (m *mesh) watchesOf(memberID string) (own []*watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watches {
		if w.memberID == memberID {
			own = append(own, w)
		}
	}
	return own
}

// wakeWatches goes on with the watches of a member who has returned.
func (m *mesh) wakeWatches(tx *store.Tx, s *session) error {
	tx.AfterCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, w := range m.watches {
			if w.resting && w.memberID == s.member.id {
				w.resting = false
				m.srv.alarms.set(w.alarm, time.Now().Add(rand.N(returnSpread)))
			}
		}
	})
	return nil
}

// absence is how long the member of w has had no session here. It is called
// with m.mu held.
func (m *mesh) absence(w *watch, now time.Time) time.Duration {
	mb := m.members[w.memberID]
	if mb == nil || len(mb.live) > 0 {
		return 0
	}
	last := mb.lastHere()
	if w.row.Created.After(last) {
		last = w.row.Created
	}
	return now.Sub(last)
}

// sweepWatches ends the watches whose members have not been here for a week.
func (m *mesh) sweepWatches(now time.Time) error {
	m.mu.Lock()
	var over []*watch
	for _, w := range m.watches {
		if m.absence(w, now) >= wire.WatchKept {
			over = append(over, w)
		}
	}
	m.mu.Unlock()
	var errs []error
	for _, w := range over {
		errs = append(errs, m.db.Write(context.Background(), func(tx *store.Tx) error {
			err := tx.DeleteWatch(w.id)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			tx.AfterCommit(func() { m.endWatch(w) })
			note := triggered(&w.row, w.row.Value, errorValue+"no session of yours was connected for a week: the watch has ended")
			note.Ended = true
			return m.notifyMember(tx, w, note)
		}))
	}
	return errors.Join(errs...)
}

// poll looks once, tells the member what has changed, and sets the next look.
func (m *mesh) poll(ctx context.Context, w *watch) {
	row, ok := m.beginPoll(w)
	if !ok {
		return
	}
	s, err := m.lookAt(ctx, &row)
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return // ended, or the broker stops
	}
	m.srv.metrics.looks.Inc()
	if err != nil {
		m.srv.metrics.lookFailures.Inc()
	}
	after, note := judge(&row, s, err)
	if after != row.WatchState {
		after.Checked = time.Now()
		if err := m.keepSight(w, after, note); err != nil {
			if !errors.Is(err, &wire.Error{Code: wire.Limit}) { // a full mailbox is no fault
				m.logFailed("note what a watch has seen", err)
			}
			after = row.WatchState
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watches[w.id] != w {
		return
	}
	now := time.Now()
	w.row.WatchState, w.checked = after, now
	m.srv.alarms.set(w.alarm, now.Add(pause(row.Interval, after.Failures, s.retryAfter, rand.Float64())))
}

// beginPoll returns what is known of w, unless it has ended or rests.
func (m *mesh) beginPoll(w *watch) (row store.Watch, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watches[w.id] != w {
		return row, false
	}
	w.resting = m.absence(w, time.Now()) >= wire.WatchRest
	return w.row, !w.resting
}

// lookAt makes the request of a watch.
func (m *mesh) lookAt(ctx context.Context, row *store.Watch) (sight, error) {
	header, err := m.openHeaders(row.Headers)
	if err != nil {
		return sight{}, err
	}
	l := &look{url: row.URL, mode: wire.WatchMode(row.Mode), header: header}
	if row.Extract != "" {
		if l.extract, err = parsePath(row.Extract); err != nil {
			return sight{}, err
		}
		l.whole = l.extract == nil
	}
	if row.Known {
		l.etag, l.modified = row.ETag, row.Modified
	}
	ctx, cancel := context.WithTimeout(ctx, wire.WatchDeadline)
	defer cancel()
	return m.srv.fetch.look(ctx, l)
}

// judge returns what is known of a URL after a look, and what its member is to
// be told, nil for nothing.
func judge(row *store.Watch, s sight, failure error) (store.WatchState, *wire.WatchTriggered) {
	after := row.WatchState
	if failure != nil {
		after.Failures++
		after.Error = cut(failure.Error(), wire.MaxWatchValue)
		if after.Failures < wire.WatchFailures || after.Told {
			return after, nil
		}
		after.Told = true
		note := triggered(row, row.Value, errorValue+after.Error)
		note.Failing = true
		return after, note
	}
	var note *wire.WatchTriggered
	after.Failures, after.Error, after.Told = 0, "", false
	if !s.unchanged {
		after.Known, after.Sum, after.Value = true, sha256.Sum256([]byte(s.value)), cut(s.value, wire.MaxWatchValue)
		if row.Known && notable(row, s.value, after.Sum) {
			note = triggered(row, row.Value, after.Value)
		}
	}
	after.ETag, after.Modified = s.etag, s.modified
	if row.Told {
		note = triggered(row, errorValue+row.Error, after.Value)
	}
	return after, note
}

// notable reports whether a value is one that the member wants to hear of, after
// the one before it.
func notable(row *store.Watch, value string, sum [32]byte) bool {
	if v, ok := strings.CutPrefix(row.NotifyOn, notifyMatch); ok {
		return value == v && row.Sum != sum
	}
	if v, ok := strings.CutPrefix(row.NotifyOn, notifyNotMatch); ok {
		return value != v && row.Sum == sha256.Sum256([]byte(v))
	}
	return row.Sum != sum
}

func triggered(row *store.Watch, before, now string) *wire.WatchTriggered {
	return &wire.WatchTriggered{WatchID: row.ID, URL: row.URL, Label: row.Label, Mode: wire.WatchMode(row.Mode),
		OldValue: cut(before, wire.MaxWatchValue), NewValue: cut(now, wire.MaxWatchValue)}
}

// pause is how long to wait for the next look: the interval and up to a tenth
// more, chance in [0, 1), so that many watches do not keep step. What fails is
// looked at more and more seldom.
func pause(interval, failures int, retryAfter time.Duration, chance float64) time.Duration {
	d := time.Duration(interval) * time.Second
	if most := max(d, maxBackOff); failures > wire.WatchFailures {
		d = min(most, d<<min(failures-wire.WatchFailures, 12))
	}
	d = max(d, retryAfter)
	return d + time.Duration(chance*float64(d)/10)
}

// keepSight stores what was seen with the message that tells of it: both, or neither.
func (m *mesh) keepSight(w *watch, after store.WatchState, note *wire.WatchTriggered) error {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		if err := tx.SaveWatch(w.id, &after); err != nil || note == nil {
			return err
		}
		return m.notifyMember(tx, w, note)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // ended meanwhile
	}
	return err
}

// notifyMember tells the member of w: each of its sessions that are connected,
// else whichever comes next. It is a message like any other, from nobody.
func (m *mesh) notifyMember(tx *store.Tx, w *watch, note *wire.WatchTriggered) error {
	m.mu.Lock()
	mb := m.members[w.memberID]
	var addrs []int64
	if mb != nil {
		for _, s := range mb.live {
			if s.conn != nil {
				addrs = append(addrs, s.addr)
			}
		}
		if len(addrs) == 0 {
			addrs = []int64{mb.addr}
		}
	}
	ttl := m.info.MessageTTL
	m.mu.Unlock()
	if mb == nil {
		return nil
	}
	plan := &plan{target: mb.key, source: watchSource + w.id}
	for _, addr := range addrs {
		ok, err := m.include(tx, plan, addr)
		if err != nil {
			return err
		}
		if !ok {
			plan.full++
		}
	}
	if len(plan.boxes) == 0 {
		return wire.Errorf(wire.Limit, "the mailbox of %s is full", mb.name)
	}
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	body, err := json.Marshal(notification{Event: wire.EventWatchTriggered, Data: data})
	if err != nil {
		return err
	}
	now := time.Now()
	msg := &store.Message{
		SenderMember: mb.id, Target: mb.key, Priority: store.PriorityNow, Subtype: wire.SubtypeSystem,
		Digest: sha256.Sum256(data), Created: now, Expires: now.Add(ttl), Ciphertext: string(body), Source: plan.source,
	}
	if err := m.addMessage(tx, msg, plan.addrs); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.srv.metrics.triggers.Inc()
		m.distribute(msg, "", plan, func(*wire.OutcomeCounts) {})
	})
	return nil
}
