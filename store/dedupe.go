package store

import (
	"errors"
	"hash/maphash"
	"time"
)

const selectSent = `SELECT seq, sender, client_id, created FROM message ORDER BY seq DESC LIMIT ?`

const (
	maxSent  = 200_000        // messages whose sender's id is remembered
	sentSpan = 24 * time.Hour // how far back Open looks for them
)

// A sentIndex finds messages by their sender and its id for them. It holds
// hashes only and forgets the oldest, so that it has a fixed bound; what it
// says must be verified by reading the message. That also covers a write that
// was undone after it had been registered.
type sentIndex struct {
	seed  maphash.Seed
	limit int
	seqs  map[uint64]int64
	queue []sentEntry // a ring once it has reached the limit
	next  int         // oldest entry of the ring
}

type sentEntry struct {
	hash uint64
	seq  int64
}

func newSentIndex(limit int) *sentIndex {
	return &sentIndex{seed: maphash.MakeSeed(), limit: limit, seqs: make(map[uint64]int64)}
}

func (x *sentIndex) hash(sender int64, clientID string) uint64 {
	return maphash.Comparable(x.seed, struct {
		sender   int64
		clientID string
	}{sender, clientID})
}

func (x *sentIndex) add(sender int64, clientID string, seq int64) {
	e := sentEntry{x.hash(sender, clientID), seq}
	x.seqs[e.hash] = seq
	if len(x.queue) < x.limit {
		x.queue = append(x.queue, e)
		return
	}
	old := x.queue[x.next]
	if x.seqs[old.hash] == old.seq {
		delete(x.seqs, old.hash)
	}
	x.queue[x.next] = e
	x.next = (x.next + 1) % x.limit
}

// load registers the newest messages, oldest first.
func (x *sentIndex) load(rx *Rx) error {
	type sent struct {
		seq, sender int64
		clientID    string
	}
	var all []sent
	var newest time.Time
	err := rx.each(selectSent, []any{x.limit}, func(r row) error {
		var s sent
		var created time.Time
		if err := r.scan(&s.seq, &s.sender, &s.clientID, &created); err != nil {
			return err
		}
		if newest.IsZero() {
			newest = created
		}
		if created.Before(newest.Add(-sentSpan)) {
			return errStop
		}
		if s.clientID != "" {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- {
		x.add(all[i].sender, all[i].clientID, all[i].seq)
	}
	return nil
}

// Sent returns the message that a sender has sent before under its own id for
// it, and whether there is one. It knows the newest 200 000 messages with such
// an id; after Open, those of them no more than 24 hours older than the newest.
func (tx *Tx) Sent(sender int64, clientID string) (*Message, bool, error) {
	seq, ok := tx.db.sent.seqs[tx.db.sent.hash(sender, clientID)]
	if !ok {
		return nil, false, nil
	}
	m, err := tx.messageBySeq(seq)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if m.Sender != sender || m.ClientID != clientID {
		return nil, false, nil
	}
	return m, true, nil
}
