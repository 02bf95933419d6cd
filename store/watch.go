package store

import (
	"fmt"
	"time"
)

const (
	watchColumns = `id, member_id, url, mode, extract, interval, notify_on, headers, label, created,
		known, sum, value, etag, modified, checked, failures, error, told`
	insertWatch        = `INSERT INTO watch (` + watchColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectWatches      = `SELECT ` + watchColumns + ` FROM watch ORDER BY id`
	countWatches       = `SELECT count(*) FROM watch`
	countMemberWatches = `SELECT count(*) FROM watch WHERE member_id = ?`
	updateWatch        = `UPDATE watch SET known = ?, sum = ?, value = ?, etag = ?, modified = ?, checked = ?, failures = ?, error = ?, told = ? WHERE id = ?`
	updateWatchHeaders = `UPDATE watch SET headers = ? WHERE id = ?`
	deleteWatch        = `DELETE FROM watch WHERE id = ?`
	deleteWatches      = `DELETE FROM watch WHERE member_id = ?`
)

// Watch is a URL that a member has watched, and what was last seen of it.
type Watch struct {
	ID       string
	MemberID string // whose it is
	URL      string
	Mode     string
	Extract  string // path; "" for none
	Interval int    // seconds
	NotifyOn string
	Headers  []byte // sealed by the caller; nil for none
	Label    string
	Created  time.Time
	WatchState
}

// WatchState is what a look at a URL changes.
type WatchState struct {
	Known    bool     // a look has succeeded
	Sum      [32]byte // SHA-256 of the last value
	Value    string   // the last value, cut by the caller
	ETag     string
	Modified string // Last-Modified, as the server wrote it
	Failures int    // in a row
	Error    string // of the last look, if it failed
	Told     bool   // the member knows that it fails
	Checked  time.Time
}

func (w *Watch) columns() []any {
	return []any{&w.ID, &w.MemberID, &w.URL, &w.Mode, &w.Extract, &w.Interval, &w.NotifyOn, &w.Headers, &w.Label, &w.Created,
		&w.Known, &w.Sum, &w.Value, &w.ETag, &w.Modified, &w.Checked, &w.Failures, &w.Error, &w.Told}
}

// AddWatch stores w: ErrLimit if its member has perMember others, or the mesh
// has perMesh.
func (tx *Tx) AddWatch(w *Watch, perMember, perMesh int) error {
	var own, all int
	if err := tx.one(countMemberWatches, []any{w.MemberID}, &own); err != nil {
		return err
	}
	if err := tx.one(countWatches, nil, &all); err != nil {
		return err
	}
	if own >= perMember || all >= perMesh {
		return fmt.Errorf("store: %d watches of the member, %d of the mesh: %w", own, all, ErrLimit)
	}
	_, err := tx.exec(insertWatch, w.ID, w.MemberID, w.URL, w.Mode, null(w.Extract), w.Interval, w.NotifyOn, w.Headers, null(w.Label), w.Created,
		w.Known, w.Sum[:], w.Value, null(w.ETag), null(w.Modified), w.Checked, w.Failures, null(w.Error), w.Told)
	return err
}

// Watches lists all watches by id.
func (rx *Rx) Watches() ([]*Watch, error) {
	var all []*Watch
	err := rx.each(selectWatches, nil, func(r row) error {
		w := new(Watch)
		all = append(all, w)
		return r.scan(w.columns()...)
	})
	return all, err
}

// SaveWatch writes what was last seen: ErrNotFound if the watch is gone.
func (tx *Tx) SaveWatch(id string, s *WatchState) error {
	return tx.change("watch "+id, updateWatch, s.Known, s.Sum[:], s.Value, null(s.ETag), null(s.Modified), s.Checked, s.Failures, null(s.Error), s.Told, id)
}

// SetWatchHeaders replaces the sealed headers: ErrNotFound if the watch is gone.
func (tx *Tx) SetWatchHeaders(id string, headers []byte) error {
	return tx.change("watch "+id, updateWatchHeaders, headers, id)
}

// DeleteWatch removes a watch: ErrNotFound if it is gone.
func (tx *Tx) DeleteWatch(id string) error { return tx.change("watch "+id, deleteWatch, id) }

// DeleteWatches removes all watches of a member.
func (tx *Tx) DeleteWatches(memberID string) error {
	_, err := tx.exec(deleteWatches, memberID)
	return err
}
