package store

import (
	"encoding/json"
	"time"
)

const (
	selectScheduleRequest = `SELECT digest, answer FROM schedule_request WHERE member_id = ? AND client_id = ?`
	insertScheduleRequest = `INSERT INTO schedule_request (member_id, client_id, digest, answer, created) VALUES (?, ?, ?, ?, ?)`
	trimScheduleRequests  = `DELETE FROM schedule_request WHERE member_id = ?1 AND created <= (SELECT created FROM schedule_request WHERE member_id = ?1 ORDER BY created DESC LIMIT 1 OFFSET ?2)`
	deleteScheduleRequest = `DELETE FROM schedule_request WHERE created < ?`
)

// A ScheduleRequest is a request that made a schedule, known by the member's own
// id for it.
type ScheduleRequest struct {
	MemberID string
	ClientID string
	Digest   [32]byte        // SHA-256 of what was asked, as the caller defines it
	Answer   json.RawMessage // that it got
	Created  time.Time
}

// ScheduleRequest returns the request of a member with that id: ErrNotFound if
// there was none, or it was forgotten. Its time is not read.
func (rx *Rx) ScheduleRequest(memberID, clientID string) (*ScheduleRequest, error) {
	r := &ScheduleRequest{MemberID: memberID, ClientID: clientID}
	return r, rx.one(selectScheduleRequest, []any{memberID, clientID}, &r.Digest, fromJSON{&r.Answer})
}

// AddScheduleRequest stores r. A member has at most keep of them; the oldest beyond
// that are forgotten.
func (tx *Tx) AddScheduleRequest(r *ScheduleRequest, keep int) error {
	answer, err := rawText(r.Answer)
	if err != nil {
		return err
	}
	if _, err := tx.exec(insertScheduleRequest, r.MemberID, r.ClientID, r.Digest[:], answer, r.Created); err != nil {
		return err
	}
	_, err = tx.exec(trimScheduleRequests, r.MemberID, keep)
	return err
}

// PruneScheduleRequests forgets the requests from before that time.
func (tx *Tx) PruneScheduleRequests(before time.Time) error {
	_, err := tx.exec(deleteScheduleRequest, before)
	return err
}
