package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// addresses makes n addresses and returns their numbers.
func addresses(t *testing.T, db *DB, n int) []int64 {
	t.Helper()
	var ids []int64
	mustWrite(t, db, func(tx *Tx) error {
		for i := range n {
			a, err := tx.EnsureAddress(fmt.Sprintf("%064x", i+1), KindSession, "m", epoch)
			if err != nil {
				return err
			}
			ids = append(ids, a.ID)
		}
		return nil
	})
	return ids
}

// send stores a message that expires after ttl.
func send(t *testing.T, db *DB, ttl time.Duration, recipients ...int64) *Message {
	t.Helper()
	m := message()
	m.Expires = m.Created.Add(ttl)
	mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(m, recipients) })
	return m
}

func trail(t *testing.T, db *DB, id string) []Step {
	t.Helper()
	var steps []Step
	mustRead(t, db, func(rx *Rx) (err error) { _, steps, err = rx.Trail(id); return err })
	return steps
}

func pending(t *testing.T, db *DB, recipient int64) []int64 {
	t.Helper()
	var seqs []int64
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Pending(recipient)
		for _, p := range all {
			seqs = append(seqs, p.Seq)
		}
		if n, countErr := rx.CountPending(recipient); countErr != nil || n != len(all) {
			t.Errorf("counted %d of %d, %v", n, len(all), countErr)
		}
		return err
	})
	return seqs
}

// Each mark on each state: which state follows, and whether it is news. Only
// news may become a receipt, so a repeated mark must never be.
func TestDeliveryStates(t *testing.T) {
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	marks := map[string]func(*Tx, int64, []int64, time.Time) ([]int64, error){
		"delivered": func(tx *Tx, r int64, s []int64, now time.Time) ([]int64, error) {
			return tx.MarkDelivered(r, s, epoch, now, false)
		},
		"delivered and done": func(tx *Tx, r int64, s []int64, now time.Time) ([]int64, error) {
			return tx.MarkDelivered(r, s, epoch, now, true)
		},
		"seen": (*Tx).MarkSeen,
		"expired": func(tx *Tx, r int64, s []int64, now time.Time) ([]int64, error) {
			_, _, err := tx.Expire(now.Add(time.Hour), 10)
			return nil, err
		},
		"pushed": func(tx *Tx, r int64, s []int64, now time.Time) ([]int64, error) {
			return nil, tx.MarkPushed(r, s, now)
		},
	}
	tests := []struct {
		marks     []string
		state     State
		news      []bool
		delivered int // the mark that set the time, from 1; 0 for none
		seen      int
	}{
		{nil, StatePending, nil, 0, 0},
		{[]string{"pushed", "pushed"}, StatePending, []bool{false, false}, 0, 0},
		{[]string{"delivered"}, StateDelivered, []bool{true}, 1, 0},
		{[]string{"delivered", "delivered"}, StateDelivered, []bool{true, false}, 1, 0},
		{[]string{"delivered", "pushed"}, StateDelivered, []bool{true, false}, 1, 0},
		{[]string{"delivered", "seen"}, StateDone, []bool{true, true}, 1, 2},
		{[]string{"delivered", "delivered and done"}, StateDone, []bool{true, true}, 1, 0},
		{[]string{"delivered and done"}, StateDone, []bool{true}, 1, 0},
		{[]string{"delivered and done", "delivered and done"}, StateDone, []bool{true, false}, 1, 0},
		{[]string{"delivered and done", "delivered"}, StateDone, []bool{true, false}, 1, 0},
		{[]string{"delivered and done", "seen"}, StateDone, []bool{true, false}, 1, 0},
		{[]string{"seen"}, StateDone, []bool{true}, 1, 1},
		{[]string{"seen", "seen"}, StateDone, []bool{true, false}, 1, 1},
		{[]string{"seen", "delivered"}, StateDone, []bool{true, false}, 1, 1},
		{[]string{"seen", "expired"}, StateDone, []bool{true, false}, 1, 1},
		{[]string{"expired"}, StateExpired, []bool{false}, 0, 0},
		{[]string{"expired", "delivered"}, StateExpired, []bool{false, false}, 0, 0},
		{[]string{"expired", "delivered and done"}, StateExpired, []bool{false, false}, 0, 0},
		{[]string{"delivered", "expired"}, StateExpired, []bool{true, false}, 1, 0},
		{[]string{"delivered", "expired", "seen"}, StateDone, []bool{true, false, true}, 1, 3},
		{[]string{"expired", "seen", "seen"}, StateDone, []bool{false, true, false}, 2, 2},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.marks), func(t *testing.T) {
			db := open(t)
			ids := addresses(t, db, 2)
			m := send(t, db, time.Hour, ids[0])
			for i, mark := range test.marks {
				mustWrite(t, db, func(tx *Tx) error {
					news, err := marks[mark](tx, ids[0], []int64{m.Seq, 999}, at(i+1))
					if slices.Contains(news, m.Seq) != test.news[i] || slices.Contains(news, 999) {
						t.Errorf("mark %d has news %v", i+1, news)
					}
					if err != nil {
						return err
					}
					news, err = tx.MarkSeen(ids[1], []int64{m.Seq}, at(i+1))
					if len(news) > 0 {
						t.Error("another's mark is news")
					}
					return err
				})
			}
			steps := trail(t, db, m.ID)
			if len(steps) != 1 {
				t.Fatal(steps)
			}
			s := steps[0]
			moment := func(n int) time.Time {
				if n == 0 {
					return time.Time{}
				}
				return at(n)
			}
			if s.State != test.state || !s.Delivered.Equal(moment(test.delivered)) || !s.Seen.Equal(moment(test.seen)) {
				t.Errorf("%+v", s)
			}
			if s.Expired.IsZero() == slices.Contains(test.marks, "expired") && !slices.Equal(test.marks, []string{"seen", "expired"}) {
				t.Errorf("expired %v", s.Expired)
			}
			var waits int64
			if s.State < StateDone {
				waits = 1
			}
			if got := pending(t, db, ids[0]); int64(len(got)) != waits || db.QueueDepth() != waits {
				t.Errorf("pending %v, depth %d", got, db.QueueDepth())
			}
		})
	}
}

func TestMovedDeliveriesAreFoundWhereverTheyGo(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 3)
	a, b, c := ids[0], ids[1], ids[2]
	first := send(t, db, time.Hour, a)
	both := send(t, db, time.Hour, a, b)
	seen := send(t, db, time.Hour, a)
	last := send(t, db, time.Hour, b)
	move := func(from, to int64) (moved []int64) {
		mustWrite(t, db, func(tx *Tx) (err error) { moved, err = tx.MoveDeliveries(from, to, epoch); return err })
		return moved
	}
	mustWrite(t, db, func(tx *Tx) error {
		if _, err := tx.MarkSeen(a, []int64{seen.Seq}, epoch); err != nil {
			return err
		}
		_, err := tx.MarkDelivered(a, []int64{first.Seq}, epoch, epoch, false)
		return err
	})
	holds := func(when string, m *Message, want ...int64) {
		t.Helper()
		var got []int64
		for _, s := range trail(t, db, m.ID) {
			got = append(got, s.Recipient.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: message %d is with %v, want %v", when, m.Seq, got, want)
		}
	}
	if got := move(a, b); !slices.Equal(got, []int64{first.Seq}) {
		t.Error("moved", got)
	}
	if got := pending(t, db, b); !slices.Equal(got, []int64{first.Seq, both.Seq, last.Seq}) {
		t.Error("pending", got)
	}
	if s := trail(t, db, first.ID)[0]; s.State != StatePending || !s.Delivered.IsZero() || s.Origin != a {
		t.Errorf("moved, but not yet delivered again: %+v", s)
	}
	holds("a to b", first, b)
	holds("a to b", both, b, b)
	holds("a to b", seen, a)
	if n := db.QueueDepth(); n != 3 {
		t.Error("depth", n)
	}
	move(b, c)
	holds("b to c", first, c)
	holds("b to c", both, c, c)
	holds("b to c", last, c)
	if got := pending(t, db, c); !slices.Equal(got, []int64{first.Seq, both.Seq, last.Seq}) {
		t.Error("pending", got)
	}
	move(c, a)
	holds("c to a", first, a)
	holds("c to a", last, a)
	if got := move(a, a); got != nil {
		t.Error("moved onto itself", got)
	}
	mustWrite(t, db, func(tx *Tx) error {
		expired, _, err := tx.Expire(epoch.Add(time.Hour), 10)
		if len(expired) != 3 || len(expired[1].Recipients) != 1 {
			t.Errorf("%d expired: %+v", len(expired), expired)
		}
		if err != nil {
			return err
		}
		if err := tx.AddMessage(message(), nil); err != nil { // the newest one stays
			return err
		}
		n, _, err := tx.Prune(epoch.Add(time.Second), 10)
		if n != 4 {
			t.Error("pruned", n)
		}
		return err
	})
	mustRead(t, db, func(rx *Rx) error {
		for _, table := range []string{"message", "delivery", "moved"} {
			var n int
			if err := rx.one("SELECT count(*) FROM "+table+" WHERE seq <= ?", []any{last.Seq}, &n); err != nil || n != 0 {
				t.Error(table, n, err)
			}
		}
		return nil
	})
}

func TestTheQueueDepthIsRightAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	db := openAt(t, path)
	ids := addresses(t, db, 3)
	m := send(t, db, time.Hour, ids...)
	send(t, db, time.Hour, ids...)
	mustWrite(t, db, func(tx *Tx) error { _, err := tx.MarkSeen(ids[0], []int64{m.Seq}, epoch); return err })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if again.QueueDepth() != 5 || db.QueueDepth() != 5 {
		t.Errorf("depth %d, was %d", again.QueueDepth(), db.QueueDepth())
	}
	if next := send(t, again, time.Hour, ids[0]); next.Seq != m.Seq+2 {
		t.Error("seq", next.Seq)
	}
}

func TestAPageHasTheBodiesThatAreThere(t *testing.T) {
	db := open(t)
	var seqs []int64
	for range 5 {
		seqs = append(seqs, send(t, db, time.Hour, 1, 300).Seq)
	}
	slices.Reverse(seqs)
	var got []int64
	mustRead(t, db, func(rx *Rx) error {
		return rx.MessagesBySeq(append(seqs, 77), func(m *Message) error {
			got = append(got, m.Seq)
			if m.Ciphertext != "c" || !slices.Equal(m.Recipients, []int64{1, 300}) || !m.Created.Equal(epoch) {
				t.Errorf("%+v", m)
			}
			return nil
		})
	})
	slices.Reverse(seqs)
	if !slices.Equal(got, seqs) {
		t.Error(got)
	}
	err := db.Read(t.Context(), func(rx *Rx) error { return rx.MessagesBySeq(seqs, func(*Message) error { return ErrLimit }) })
	if !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

// Every field comes back as it was, and opaque text whatever is in it.
func TestAMessageComesBackAsItWas(t *testing.T) {
	db := open(t)
	m := &Message{
		Sender: 1, SenderMember: "sm", SenderName: "sn", Target: "@g", Priority: PriorityLow, Subtype: "reminder", ReplyTo: "r", ClientID: "c",
		Digest: [32]byte{1, 2, 3}, Receipt: 3, Created: epoch, Expires: epoch.Add(time.Hour), Nonce: "a\x00b\xff", Ciphertext: strings.Repeat("\x00é\xfe", 9000),
	}
	for _, recipients := range [][]int64{{5}, {1, 2, 300, 1 << 40}, {}} {
		mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(m, recipients) })
		mustRead(t, db, func(rx *Rx) error {
			got, err := rx.Message(m.ID)
			if err == nil && len(recipients) == 0 {
				got.Recipients = recipients
			}
			equal(t, got, m)
			return err
		})
	}
}

func TestAMessageIsFoundByItsIDOnly(t *testing.T) {
	db := open(t)
	m := send(t, db, time.Hour, 1)
	wrong := []byte(m.ID)
	wrong[idLen-1] ^= 1
	tests := map[string]bool{m.ID: true, m.ID[:8]: true, m.ID[:20]: true, m.ID[:7]: false, string(wrong): false, messageID(m.Seq + 1): false, "": false}
	for s, want := range tests {
		mustRead(t, db, func(rx *Rx) error {
			got, err := rx.Message(s)
			if want && (err != nil || got.ID != m.ID) || !want && !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v, %v", s, got, err)
			}
			return nil
		})
	}
}
