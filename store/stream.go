package store

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	streamColumns  = `num, id, name, keep, last, kept, bytes, created_by, member, created`
	insertStream   = `INSERT INTO stream (id, name, keep, created_by, member, created) VALUES (?, ?, ?, ?, ?, ?)`
	selectStream   = `SELECT ` + streamColumns + ` FROM stream WHERE name = ?`
	selectStreams  = `SELECT ` + streamColumns + ` FROM stream ORDER BY num`
	countStreams   = `SELECT count(*) FROM stream`
	updateStream   = `UPDATE stream SET last = ?, kept = ?, bytes = ? WHERE num = ?`
	deleteStream   = `DELETE FROM stream WHERE name = ?`
	insertEntry    = `INSERT INTO stream_entry (stream, seq, published, publisher, data) VALUES (?, ?, ?, ?, ?)`
	selectEntries  = `SELECT seq, published, publisher, data FROM stream_entry WHERE stream = ? AND seq >= ? ORDER BY seq`
	selectOldEntry = `SELECT seq, octet_length(data) FROM stream_entry WHERE stream = ? ORDER BY seq LIMIT 1`
	deleteEntry    = `DELETE FROM stream_entry WHERE stream = ? AND seq = ?`

	insertSubscription        = `INSERT OR IGNORE INTO subscription (address, stream) VALUES (?, ?)`
	countSubscriptions        = `SELECT count(*) FROM subscription WHERE address = ?`
	selectSubscriptions       = `SELECT stream FROM subscription WHERE address = ? ORDER BY stream`
	deleteSubscription        = `DELETE FROM subscription WHERE address = ? AND stream = ?`
	deleteSubscriptions       = `DELETE FROM subscription WHERE address = ?`
	deleteMemberSubscriptions = `DELETE FROM subscription WHERE address IN (SELECT address FROM session WHERE member_id = ?)`
)

// entryOverhead is what an entry weighs in a page besides its texts.
const entryOverhead = 100

// Stream is the record of a stream.
type Stream struct {
	num int64

	ID        string // NewID
	Name      string
	Keep      int   // how many entries it keeps at most
	Last      int64 // number of the newest entry, 0 if there was none
	Kept      int   // entries that are there
	Bytes     int   // and their size
	CreatedBy string
	MemberID  string // who made it
	Created   time.Time
}

func (s *Stream) columns() []any {
	return []any{&s.num, &s.ID, &s.Name, &s.Keep, &s.Last, &s.Kept, &s.Bytes, &s.CreatedBy, &s.MemberID, &s.Created}
}

// First returns the number of the oldest entry that is kept; it is that after
// Last if none is.
func (s *Stream) First() int64 { return s.Last - int64(s.Kept) + 1 }

// Entry is what was published to a stream.
type Entry struct {
	Seq       int64 // from 1, without gaps
	Published time.Time
	Publisher string
	Data      json.RawMessage
}

// CreateStream records s, unless there are limit streams: ErrLimit. ErrConflict
// if one has its name.
func (tx *Tx) CreateStream(s *Stream, limit int) error {
	var n int
	if err := tx.one(countStreams, nil, &n); err != nil {
		return err
	}
	if n >= limit {
		return fmt.Errorf("store: %d streams: %w", n, ErrLimit)
	}
	num, err := tx.insert(insertStream, s.ID, s.Name, s.Keep, s.CreatedBy, s.MemberID, s.Created)
	s.num = num
	return err
}

// Stream returns the stream of that name: ErrNotFound if there is none.
func (rx *Rx) Stream(name string) (*Stream, error) {
	var s Stream
	if err := rx.one(selectStream, []any{name}, s.columns()...); err != nil {
		return nil, fmt.Errorf("store: stream: %w", err)
	}
	return &s, nil
}

// Streams lists all streams, the oldest first.
func (rx *Rx) Streams() ([]*Stream, error) {
	var all []*Stream
	err := rx.each(selectStreams, nil, func(r row) error {
		var s Stream
		all = append(all, &s)
		return r.scan(s.columns()...)
	})
	return all, err
}

// DeleteStream removes a stream with its entries: ErrNotFound if there is none.
func (tx *Tx) DeleteStream(name string) error {
	return tx.change("stream", deleteStream, name)
}

// AddEntry appends e to s, numbers it, and forgets the oldest entries beyond
// what s keeps, and beyond maxBytes; the newest stays whatever its size.
func (tx *Tx) AddEntry(s *Stream, e *Entry, maxBytes int) error {
	data, err := rawText(e.Data)
	if err != nil {
		return err
	}
	e.Seq = s.Last + 1
	if s.Keep > 0 {
		if _, err := tx.insert(insertEntry, s.num, e.Seq, e.Published, e.Publisher, data); err != nil {
			return err
		}
		s.Kept++
		s.Bytes += len(data)
	}
	s.Last = e.Seq
	for s.Kept > s.Keep || s.Kept > 1 && s.Bytes > maxBytes {
		if err := tx.dropEntry(s); err != nil {
			return err
		}
	}
	return tx.change("stream", updateStream, s.Last, s.Kept, s.Bytes, s.num)
}

func (tx *Tx) dropEntry(s *Stream) error {
	var seq int64
	var size int
	if err := tx.one(selectOldEntry, []any{s.num}, &seq, &size); err != nil {
		return err
	}
	s.Kept--
	s.Bytes -= size
	return tx.change("entry of a stream", deleteEntry, s.num, seq)
}

// Entries returns the kept entries of s from that number on, ascending, as many
// as weigh maxBytes together but at least one, and whether there are more.
func (rx *Rx) Entries(s *Stream, from int64, maxBytes int) (all []Entry, more bool, err error) {
	size := 0
	err = rx.each(selectEntries, []any{s.num, from}, func(r row) error {
		var e Entry
		if err := r.scan(&e.Seq, &e.Published, &e.Publisher, fromJSON{&e.Data}); err != nil {
			return err
		}
		if size += len(e.Data) + len(e.Publisher) + entryOverhead; size > maxBytes && len(all) > 0 {
			more = true
			return errStop
		}
		all = append(all, e)
		return nil
	})
	return all, more, err
}

// Subscribe records that the session with that address subscribes to a stream,
// by its name; that it does already is no error. ErrLimit if it has limit others.
func (tx *Tx) Subscribe(address int64, stream string, limit int) error {
	if _, err := tx.exec(insertSubscription, address, stream); err != nil {
		return err
	}
	var n int
	if err := tx.one(countSubscriptions, []any{address}, &n); err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("store: %d subscriptions: %w", n, ErrLimit)
	}
	return nil
}

// Unsubscribe ends a subscription; that there is none is no error.
func (tx *Tx) Unsubscribe(address int64, stream string) error {
	_, err := tx.exec(deleteSubscription, address, stream)
	return err
}

// Subscriptions lists the names of the streams that a session subscribes to.
func (rx *Rx) Subscriptions(address int64) ([]string, error) {
	var all []string
	err := rx.each(selectSubscriptions, []any{address}, func(r row) error {
		var name string
		err := r.scan(&name)
		all = append(all, name)
		return err
	})
	return all, err
}

// EndSubscriptions ends all subscriptions of a session.
func (tx *Tx) EndSubscriptions(address int64) error {
	_, err := tx.exec(deleteSubscriptions, address)
	return err
}

// EndMemberSubscriptions ends the subscriptions of all sessions of a member.
func (tx *Tx) EndMemberSubscriptions(memberID string) error {
	_, err := tx.exec(deleteMemberSubscriptions, memberID)
	return err
}
