package store

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	sessionColumns = `address, member_id, host_session, display_name, groups, profile, visible, summary,
		messages_in, messages_out, tool_calls, errors, role, cwd, hostname, pid, peer_type, channel, model, online, connected, saved, proto`
	upsertSession        = `INSERT OR REPLACE INTO session (` + sessionColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectSession        = `SELECT ` + sessionColumns + ` FROM session WHERE address = ?`
	selectLatestSession  = `SELECT ` + sessionColumns + ` FROM session WHERE member_id = ? ORDER BY saved DESC LIMIT 1`
	selectMemberSessions = `SELECT ` + sessionColumns + ` FROM session WHERE member_id = ? ORDER BY saved DESC`
	selectOnlineSessions = `SELECT ` + sessionColumns + ` FROM session WHERE online = 1 ORDER BY address`
)

// Session is the saved state of one session.
type Session struct {
	Address     int64
	MemberID    string
	HostSession string // the host program's session id
	DisplayName string
	Groups      []Group
	Profile     json.RawMessage // nil for none
	Visible     bool
	Summary     string
	Stats       Stats
	Role        string
	Cwd         string
	Hostname    string
	PID         int
	PeerType    string
	Channel     string
	Model       string
	Online      bool // connected, or in its grace, when it was saved
	Connected   time.Time
	LastSeen    time.Time // when it was saved
	Proto       int       // the protocol that its client speaks
}

// Stats are the counters of a session over its whole life.
type Stats struct {
	MessagesIn, MessagesOut, ToolCalls, Errors int64
}

func (s *Session) columns() []any {
	return []any{&s.Address, &s.MemberID, &s.HostSession, &s.DisplayName, fromJSON{&s.Groups}, fromJSON{&s.Profile}, &s.Visible, &s.Summary,
		&s.Stats.MessagesIn, &s.Stats.MessagesOut, &s.Stats.ToolCalls, &s.Stats.Errors, &s.Role, &s.Cwd, &s.Hostname, &s.PID,
		&s.PeerType, &s.Channel, &s.Model, &s.Online, &s.Connected, &s.LastSeen, &s.Proto}
}

// SaveSession writes the state of a session, whose address must be there, in
// the place of what was saved before, and marks the address as used.
func (tx *Tx) SaveSession(s *Session) error {
	groups, err := groupsText(s.Groups)
	if err != nil {
		return err
	}
	profile, err := rawText(s.Profile)
	if err != nil {
		return err
	}
	if _, err := tx.exec(upsertSession, s.Address, s.MemberID, s.HostSession, s.DisplayName, groups, null(profile), s.Visible, null(s.Summary),
		s.Stats.MessagesIn, s.Stats.MessagesOut, s.Stats.ToolCalls, s.Stats.Errors, null(s.Role), s.Cwd, null(s.Hostname), s.PID,
		null(s.PeerType), null(s.Channel), null(s.Model), s.Online, s.Connected, s.LastSeen, s.Proto); err != nil {
		return err
	}
	return tx.UseAddress(s.Address, s.LastSeen)
}

// Session returns the saved state of the session with that address:
// ErrNotFound if there is none.
func (rx *Rx) Session(address int64) (*Session, error) {
	var s Session
	if err := rx.one(selectSession, []any{address}, s.columns()...); err != nil {
		return nil, fmt.Errorf("store: session %d: %w", address, err)
	}
	return &s, nil
}

// LatestSession returns the session of a member that was saved last:
// ErrNotFound if there is none.
func (rx *Rx) LatestSession(memberID string) (*Session, error) {
	var s Session
	if err := rx.one(selectLatestSession, []any{memberID}, s.columns()...); err != nil {
		return nil, fmt.Errorf("store: session of member %s: %w", memberID, err)
	}
	return &s, nil
}

// Sessions lists the sessions of a member, the one saved last first.
func (rx *Rx) Sessions(memberID string) ([]*Session, error) {
	return rx.sessions(selectMemberSessions, memberID)
}

// OnlineSessions lists the sessions that were online when they were saved.
// After a crash these are the ones that may come back.
func (rx *Rx) OnlineSessions() ([]*Session, error) { return rx.sessions(selectOnlineSessions) }

func (rx *Rx) sessions(query string, args ...any) ([]*Session, error) {
	var all []*Session
	err := rx.each(query, args, func(r row) error {
		var s Session
		all = append(all, &s)
		return r.scan(s.columns()...)
	})
	return all, err
}
