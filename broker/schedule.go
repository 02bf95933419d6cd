package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"
	_ "time/tzdata" // not every machine has the time zones of the world
	"unicode/utf8"

	"claudemesh/cron"
	"claudemesh/store"
	"claudemesh/wire"
)

const (
	maxZone  = 64                         // characters of the name of a time zone
	farthest = 100 * 366 * 24 * time.Hour // ahead of a clock that anything may be due
)

// schedule stores a message to be sent later.
func (m *mesh) schedule(c *call, req wire.Schedule) (wire.ScheduledAck, error) {
	target, err := checkSchedule(&req)
	if err != nil {
		return wire.ScheduledAck{}, err
	}
	digest, err := scheduleDigest(&req)
	if err != nil {
		return wire.ScheduledAck{}, err
	}
	var ack wire.ScheduledAck
	err = m.db.Write(context.Background(), func(tx *store.Tx) error {
		if done, err := repeated(tx, c.session.member, &req, digest, &ack); done || err != nil {
			return err
		}
		s, err := m.entry(tx, c.session, &req, target, &ack)
		if err != nil {
			return err
		}
		if err := tx.AddSchedule(s); err != nil {
			return err
		}
		ack.ScheduledID, ack.DeliverAt, ack.Cron = s.ID, wire.MillisOf(s.NextFire), s.Cron
		payload := audited{"scheduledId": s.ID, "targetSpec": s.Target}
		if s.Cron != "" {
			payload["cron"] = s.Cron
		}
		return errors.Join(remember(tx, s.MemberID, &req, digest, &ack), m.audit(tx, c.session.actor(), wire.AuditScheduleCreated, payload), m.arm(tx))
	})
	return ack, err
}

// keepRequest is how long a request is remembered by its id.
const keepRequest = 24 * time.Hour

// scheduleDigest is the SHA-256 of what is asked for, but for the id of the request.
func scheduleDigest(req *wire.Schedule) (d [32]byte, err error) {
	asked := *req
	asked.ID = ""
	p, err := json.Marshal(asked)
	return sha256.Sum256(p), err
}

// repeated answers a request that mb has made before, as it was answered then.
func repeated(tx *store.Tx, mb *member, req *wire.Schedule, digest [32]byte, ack *wire.ScheduledAck) (bool, error) {
	if req.ID == "" {
		return false, nil
	}
	old, err := tx.ScheduleRequest(mb.id, req.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case mb.leaving:
		return false, refused(wire.Unauthorized)
	case old.Digest != digest:
		return false, wire.Errorf(wire.Conflict, "id %q was used for another schedule: take a new one", wire.Shorten(req.ID, 40))
	}
	err = json.Unmarshal(old.Answer, ack)
	ack.Duplicate = true
	return true, err
}

// remember keeps the answer to a request that has an id.
func remember(tx *store.Tx, memberID string, req *wire.Schedule, digest [32]byte, ack *wire.ScheduledAck) error {
	if req.ID == "" {
		return nil
	}
	answer, err := json.Marshal(ack)
	if err != nil {
		return err
	}
	r := &store.ScheduleRequest{MemberID: memberID, ClientID: req.ID, Digest: digest, Answer: answer, Created: time.Now()}
	return tx.AddScheduleRequest(r, wire.MaxSchedules)
}

// checkSchedule checks all that needs no mesh, and fills in what may be absent.
func checkSchedule(req *wire.Schedule) (wire.Target, error) {
	if req.Missed == "" {
		req.Missed = wire.MissedOnce
	}
	if req.Clock == "" {
		req.Clock = wire.RealClock
	}
	if utf8.RuneCountInString(req.ID) > wire.MaxSendID {
		return wire.Target{}, wire.Errorf(wire.BadRequest, "id is longer than %d characters", wire.MaxSendID)
	}
	switch sealed := req.Nonce != "" || req.Ciphertext != ""; {
	case sealed && (req.Nonce == "" || req.Ciphertext == "" || req.Message != ""):
		return wire.Target{}, wire.Errorf(wire.BadRequest, "give either message, or both nonce and ciphertext")
	case !sealed && req.Message == "":
		return wire.Target{}, wire.Errorf(wire.BadRequest, "message is empty")
	case req.Subtype != "" && req.Subtype != wire.SubtypeReminder:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "subtype must be %s or left out", wire.SubtypeReminder)
	case req.Missed != wire.MissedOnce && req.Missed != wire.MissedSkip && req.Missed != wire.MissedAll:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "missed must be once, skip or all")
	case req.Clock != wire.RealClock && req.Clock != wire.SimClock:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "clock must be real or sim")
	case req.Cron == "" && req.DeliverAt == nil && req.Delay == nil:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "when? give deliverAt, delay or cron")
	case req.Cron == "" && req.Delay == nil && *req.DeliverAt == wire.NoMillis:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "deliverAt must be a time in milliseconds since 1970")
	case req.Delay != nil && (*req.Delay < 0 || *req.Delay > farthest.Milliseconds()):
		return wire.Target{}, wire.Errorf(wire.BadRequest, "delay must be 0 to %d milliseconds", farthest.Milliseconds())
	}
	t, err := wire.ParseTarget(req.To)
	if err == nil && req.Nonce != "" && t.Multicast() {
		err = wire.Errorf(wire.BadRequest, "an envelope is for one key: give the message for %s as text", t)
	}
	return t, err
}

// entry makes the row of a schedule. What depends on the mesh is decided here,
// in the transaction.
func (m *mesh) entry(tx *store.Tx, by *session, req *wire.Schedule, t wire.Target, ack *wire.ScheduledAck) (*store.Schedule, error) {
	if by.member.leaving {
		return nil, refused(wire.Unauthorized)
	}
	switch n, err := tx.CountSchedules(by.member.id); {
	case err != nil:
		return nil, err
	case n >= wire.MaxSchedules:
		return nil, wire.Errorf(wire.Limit, "%d messages of yours are scheduled, the most a member may have: cancel some", n)
	}
	s := &store.Schedule{
		ID: newUUID(), MemberID: by.member.id, Creator: by.addr, Target: t.String(), Clock: string(req.Clock), Cron: req.Cron,
		Missed: string(req.Missed), Subtype: req.Subtype, Created: time.Now(), Nonce: req.Nonce, Body: req.Message + req.Ciphertext,
	}
	if !t.Multicast() {
		a, err := m.addressOf(tx, t)
		if err != nil {
			return nil, err
		}
		s.Target, ack.Unknown = wireKey(a.Key), a.Kind == store.KindUnknown
	}
	now, err := clockNow(&tx.Rx, req.Clock)
	if err != nil {
		return nil, err
	}
	s.NextFire, err = firstFire(req, now)
	if s.Cron != "" {
		s.TZ = req.TZ
	}
	return s, err
}

// clockNow returns what a clock shows.
func clockNow(rx *store.Rx, name wire.ClockName) (time.Time, error) {
	if name == wire.RealClock {
		return time.Now(), nil
	}
	c, err := rx.SimClock()
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, noClock()
	}
	if err != nil {
		return time.Time{}, err
	}
	return c.Time, nil
}

// firstFire returns when a schedule is first due, on a clock that shows now.
func firstFire(req *wire.Schedule, now time.Time) (time.Time, error) {
	if req.Cron != "" {
		e, loc, err := timing(req.Cron, req.TZ)
		if err != nil {
			return time.Time{}, err
		}
		at := e.Next(now, loc)
		if at.IsZero() {
			return at, wire.Errorf(wire.InvalidCron, "%q is not due within the next %d years", wire.Shorten(req.Cron, 80), cron.Horizon)
		}
		return at, nil
	}
	at := time.Time{}
	if req.Delay != nil {
		at = now.Add(time.Duration(*req.Delay) * time.Millisecond)
	} else {
		at = max(*req.DeliverAt, wire.MillisOf(now)).Std() // what is past is now
	}
	if at.Sub(now) > farthest {
		return at, wire.Errorf(wire.BadRequest, "deliverAt is more than 100 years ahead; it counts milliseconds since 1970")
	}
	return at, nil
}

// timing reads a cron expression and its time zone, UTC if that is empty.
func timing(expr, zone string) (*cron.Expression, *time.Location, error) {
	e, err := cron.Parse(expr)
	if err != nil {
		return nil, nil, wire.Errorf(wire.InvalidCron, "%s", wire.Shorten(err.Error(), 300))
	}
	if zone == "" {
		return e, time.UTC, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" || len(zone) > maxZone {
		return nil, nil, wire.Errorf(wire.BadRequest, "tz %q is no time zone: give an IANA name such as Europe/Berlin", wire.Shorten(zone, maxZone))
	}
	return e, loc, nil
}

// arm sets the alarm for the next entry that is due, after the commit.
func (m *mesh) arm(tx *store.Tx) error {
	next, err := tx.NextFire(store.ClockReal)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { m.srv.alarms.setOrStop(m.reminders, next) })
	return nil
}

func (m *mesh) listScheduled(c *call, _ wire.ListScheduled) (wire.ScheduledList, error) {
	res := wire.ScheduledList{Messages: []wire.Scheduled{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		rows, err := rx.Schedules(c.session.member.id)
		room := wire.MaxScheduleList
		for _, s := range rows {
			e := scheduled(s)
			if room -= len(s.Body); room < 0 {
				e.Message, e.Nonce, e.Ciphertext, e.Cut = "", "", "", true
			}
			res.Messages = append(res.Messages, e)
		}
		return err
	})
	return res, err
}

// scheduled describes an entry to its owner.
func scheduled(s *store.Schedule) wire.Scheduled {
	e := wire.Scheduled{
		ID: s.ID, To: s.Target, DeliverAt: wire.MillisOf(s.NextFire), CreatedAt: wire.MillisOf(s.Created), Cron: s.Cron, TZ: s.TZ,
		Missed: wire.Missed(s.Missed), Clock: wire.ClockName(s.Clock), Subtype: s.Subtype, LastMessageID: s.LastMessage,
	}
	if s.Nonce == "" {
		e.Message = s.Body
	} else {
		e.Nonce, e.Ciphertext = s.Nonce, s.Body
	}
	if s.Cron != "" {
		e.FiredCount = &s.Fired
	}
	return e
}

// cancelScheduled ends an entry of the caller's member.
func (m *mesh) cancelScheduled(c *call, req wire.CancelScheduled) (wire.CancelScheduledAck, error) {
	res := wire.CancelScheduledAck{ScheduledID: req.ScheduledID}
	if len(req.ScheduledID) < wire.MinPrefix {
		return res, nil
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		id, err := tx.ScheduleID(c.session.member.id, req.ScheduledID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case errors.Is(err, store.ErrConflict):
			return wire.Errorf(wire.Ambiguous, "several of your schedules begin with %q: give more of the id", wire.Shorten(req.ScheduledID, 40))
		case err != nil:
			return err
		}
		res.ScheduledID, res.OK = id, true
		return errors.Join(tx.DeleteSchedule(id), m.audit(tx, c.session.actor(), wire.AuditScheduleCancelled, audited{"scheduledId": id}), m.arm(tx))
	})
	return res, err
}
