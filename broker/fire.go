package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"claudemesh/cron"
	"claudemesh/store"
	"claudemesh/wire"
)

const (
	lateAfter  = time.Minute      // what is later was missed
	fireAgain  = time.Minute      // for a recipient whose mailbox is full
	storeAgain = 10 * time.Second // when nothing could be stored
)

// fireSchedules sends what is due.
func (m *mesh) fireSchedules() {
	for more := true; more; {
		more = false
		err := m.db.Write(context.Background(), func(tx *store.Tx) error {
			n, err := m.fire(tx, store.ClockReal, time.Now())
			more = n == batch
			if err != nil {
				return err
			}
			return m.arm(tx)
		})
		if err != nil {
			m.logFailed("send what is due", err)
			m.srv.alarms.set(m.reminders, time.Now().Add(storeAgain))
			return
		}
	}
}

// fire sends what is due on a clock that shows now, a batch of it at most: in one
// transaction the messages are there and the entries have moved on. It returns
// how many entries there were.
func (m *mesh) fire(tx *store.Tx, clock string, now time.Time) (int, error) {
	due, err := tx.DueSchedules(clock, now, batch)
	if err != nil {
		return 0, err
	}
	for _, s := range due {
		if err := m.fireOne(tx, s, now); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

func (m *mesh) fireOne(tx *store.Tx, s *store.Schedule, now time.Time) error {
	m.mu.Lock()
	mb := m.members[s.MemberID]
	m.mu.Unlock()
	if mb == nil {
		return tx.DeleteSchedule(s.ID)
	}
	if missed(s, now) {
		tx.AfterCommit(m.srv.metrics.missed.WithLabelValues(s.Missed).Inc)
	}
	times, next, err := dueTimes(s, now)
	if err != nil { // it could be read when it was made
		m.log.Error("a schedule cannot be read and is dropped", "schedule", s.ID, "err", err)
		return tx.DeleteSchedule(s.ID)
	}
	for _, due := range times {
		err := m.sendScheduled(tx, s, mb, due)
		if errors.Is(err, &wire.Error{Code: wire.Limit}) {
			s.Due, s.NextFire = due, now.Add(fireAgain)
			return tx.UpdateSchedule(s)
		}
		if err != nil {
			return err
		}
		s.Fired++
	}
	s.Due = time.Time{}
	if next.IsZero() {
		return tx.DeleteSchedule(s.ID)
	}
	s.NextFire = next
	return tx.UpdateSchedule(s)
}

// missed reports whether s was due so long ago that it was missed. What waits for
// room in a mailbox was not.
func missed(s *store.Schedule, now time.Time) bool {
	return s.Due.IsZero() && now.Sub(s.NextFire) > lateAfter
}

// dueTimes returns when s was due, up to now, of those times that it is to be
// sent for, and when it is due next: the zero time if never again.
func dueTimes(s *store.Schedule, now time.Time) (times []time.Time, next time.Time, err error) {
	first, late, waits := s.NextFire, missed(s, now), !s.Due.IsZero()
	if waits {
		first = s.Due
	}
	if !late || s.Missed != store.MissedSkip {
		times = []time.Time{first}
	}
	if s.Cron == "" {
		return times, time.Time{}, nil
	}
	e, loc, err := timing(s.Cron, s.TZ)
	switch {
	case err != nil:
		return nil, time.Time{}, err
	case !late && !waits:
		return times, e.Next(first, loc), nil
	case s.Missed == store.MissedAll:
		times = latest(e, loc, first, now, wire.MaxMissed)
	}
	return times, e.Next(now, loc), nil
}

// latest returns the last times, n at most, from first to now at which e was
// due. It looks at twice as long a while until it has enough of them.
func latest(e *cron.Expression, loc *time.Location, first, now time.Time, n int) []time.Time {
	for while := time.Duration(n) * time.Minute; ; while *= 2 {
		from := now.Add(-while)
		all := from.Before(first)
		if all {
			from = first.Add(-1)
		}
		var times []time.Time
		for t := e.Next(from, loc); !t.IsZero() && !t.After(now); t = e.Next(t, loc) {
			times = append(times, t)
		}
		if all || len(times) >= n {
			return times[max(0, len(times)-n):]
		}
	}
}

// sendScheduled stores the message of s, in the name of its owner.
func (m *mesh) sendScheduled(tx *store.Tx, s *store.Schedule, mb *member, due time.Time) error {
	v := m.voiceOf(s, mb)
	plan, err := m.planScheduled(tx, s, mb, v.creator)
	if err != nil {
		return err
	}
	body := s.Body
	if s.Nonce == "" {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	now := time.Now()
	msg := &store.Message{
		Sender: v.addr, SenderMember: mb.id, SenderName: v.name, Target: plan.target, Priority: store.PriorityNow, Subtype: s.Subtype,
		Digest:  digestOf(&wire.Send{TargetSpec: plan.target, Priority: wire.Now, Nonce: s.Nonce, Ciphertext: body}),
		Created: now, Expires: now.Add(m.ttl()), Nonce: s.Nonce, Ciphertext: body, Schedule: s.ID, Due: due,
	}
	if err := m.addMessage(tx, msg, plan.addrs); err != nil {
		return err
	}
	s.LastMessage = msg.ID
	tx.AfterCommit(func() {
		m.srv.metrics.fired.Inc()
		m.distribute(msg, v.key, plan, func(*wire.OutcomeCounts) {})
	})
	return nil
}

// A voice is who a scheduled message comes from.
type voice struct {
	addr      int64
	key, name string
	creator   *session // that made the entry, nil if it is gone
}

// voiceOf returns in whose name s is sent: that of the session that made it,
// else of another of the member's, else of the member. What is sealed was
// sealed by the member's key, and opens only as the member's.
func (m *mesh) voiceOf(s *store.Schedule, mb *member) voice {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := voice{addr: mb.addr, key: mb.key, name: mb.name}
	speaker := m.sessions[s.Creator]
	if speaker != nil && speaker.member == mb {
		v.creator = speaker
	} else if speaker = nil; len(mb.live) > 0 {
		speaker = mb.live[0]
	}
	if speaker != nil {
		v.name = speaker.name
	}
	if speaker != nil && s.Nonce == "" {
		v.addr, v.key = speaker.addr, speaker.key
	}
	return v
}

// planScheduled decides whom s goes to. What a member sends to itself lies in the member's mailbox: the
// session that it was meant for, or that made it, has it if it is here, and
// else whichever of the member's is or comes next.
func (m *mesh) planScheduled(tx *store.Tx, s *store.Schedule, mb *member, creator *session) (*plan, error) {
	t, err := wire.ParseTarget(s.Target)
	if err != nil {
		return nil, err
	}
	if !t.Multicast() {
		a, err := m.addressOf(tx, t)
		if err != nil {
			return nil, err
		}
		if a.MemberID == mb.id && (s.Nonce == "" || a.Kind == store.KindMember) {
			p := &plan{target: t.Name, first: creator}
			if a.Kind == store.KindSession {
				m.mu.Lock()
				p.first = m.sessions[a.ID]
				m.mu.Unlock()
			}
			return p, m.includeOne(tx, p, store.Address{ID: mb.addr, Key: mb.key})
		}
	}
	return m.resolve(tx, origin{addr: s.Creator, member: mb}, t, nil)
}
