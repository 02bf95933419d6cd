package store

import (
	"path/filepath"
	"testing"
	"time"
)

func expire(t *testing.T, db *DB, now time.Time, limit int) (seqs []int64) {
	t.Helper()
	mustWrite(t, db, func(tx *Tx) error {
		all, _, err := tx.Expire(now, limit)
		for _, x := range all {
			seqs = append(seqs, x.Message.Seq)
		}
		return err
	})
	return seqs
}

func TestExpiryTellsOfEveryMessageOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	db := openAt(t, path)
	ids := addresses(t, db, 2)
	const n = 100
	for i := range n {
		m := send(t, db, time.Duration(i+1)*time.Minute, ids...)
		if i%10 == 0 {
			mustWrite(t, db, func(tx *Tx) error {
				_, err := tx.MarkSeen(ids[0], []int64{m.Seq}, epoch)
				if err == nil {
					_, err = tx.MarkDelivered(ids[1], []int64{m.Seq}, epoch, epoch, i%20 == 0)
				}
				return err
			})
		}
	}
	if got := expire(t, db, epoch.Add(time.Minute-time.Millisecond), 10); got != nil {
		t.Error("too early:", got)
	}
	told := make(map[int64]bool)
	now := epoch.Add(50 * time.Minute)
	for round := 0; ; round++ {
		got := expire(t, db, now, 7)
		if len(got) > 7 {
			t.Error("more than asked for:", got)
		}
		for _, seq := range got {
			if told[seq] || seq > 50 {
				t.Error("told of", seq)
			}
			told[seq] = true
		}
		if round == 2 { // the place is kept in the file
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openAt(t, path)
		}
		if len(got) == 0 {
			break
		}
	}
	if want := 50 - 3; len(told) != want { // done for both: 1, 21, 41
		t.Errorf("told of %d, want %d", len(told), want)
	}
	// Of the younger fifty, five are seen by one recipient and two of these done for the other.
	if want := int64(50*2 - 5 - 2); db.QueueDepth() != want {
		t.Errorf("depth %d, want %d", db.QueueDepth(), want)
	}
}

func TestExpirySaysWhoHadTheMessage(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 3)
	m := send(t, db, time.Minute, ids...)
	mustWrite(t, db, func(tx *Tx) error {
		if _, err := tx.MarkDelivered(ids[0], []int64{m.Seq}, epoch, epoch, false); err != nil {
			return err
		}
		if _, err := tx.MarkSeen(ids[1], []int64{m.Seq}, epoch); err != nil {
			return err
		}
		all, _, err := tx.Expire(m.Expires, 10)
		if len(all) != 1 || len(all[0].Recipients) != 2 ||
			all[0].Recipients[0] != (ExpiredRecipient{ids[0], true}) || all[0].Recipients[1] != (ExpiredRecipient{ids[2], false}) {
			t.Errorf("%+v", all)
		}
		return err
	})
}

func TestPruneDeletesWhatIsOverAndOldOnly(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 1)
	const n = 30
	var waits, young int64
	for i := range n {
		m := message()
		m.Created = epoch.Add(time.Duration(i) * time.Minute)
		mustWrite(t, db, func(tx *Tx) error {
			if err := tx.AddMessage(m, ids); err != nil || i == 3 {
				return err
			}
			_, err := tx.MarkSeen(ids[0], []int64{m.Seq}, epoch)
			return err
		})
		switch i {
		case 3:
			waits = m.Seq
		case 20:
			young = m.Seq
		}
	}
	prune := func() (pruned int) {
		for range 20 { // more than one time round
			mustWrite(t, db, func(tx *Tx) error {
				k, _, err := tx.Prune(epoch.Add(20*time.Minute), 7)
				if k > 7 {
					t.Error("pruned more than the limit:", k)
				}
				pruned += k
				return err
			})
		}
		return pruned
	}
	if k := prune(); k != 19 {
		t.Error("pruned", k)
	}
	mustRead(t, db, func(rx *Rx) error {
		var lowest, second int64
		if err := rx.one("SELECT min(seq), (SELECT seq FROM message ORDER BY seq LIMIT 1 OFFSET 1) FROM message", nil, &lowest, &second); err != nil {
			return err
		}
		if lowest != waits || second != young {
			t.Error("left:", lowest, second)
		}
		return nil
	})
	mustWrite(t, db, func(tx *Tx) error { _, err := tx.MarkSeen(ids[0], []int64{waits}, epoch); return err })
	if k := prune(); k != 1 {
		t.Error("pruned later", k)
	}
}

// A week in which all was seen and forgotten must not make the next messages
// look like those.
func TestNoSeqIsGivenOutTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	db := openAt(t, path)
	to := addresses(t, db, 1)[0]
	var last int64
	for range 3 {
		last = send(t, db, time.Hour, to).Seq
		mustWrite(t, db, func(tx *Tx) error { _, err := tx.MarkSeen(to, []int64{last}, epoch); return err })
	}
	later := epoch.Add(100 * time.Hour)
	mustWrite(t, db, func(tx *Tx) error {
		if _, _, err := tx.Expire(later, 100); err != nil {
			return err
		}
		_, _, err := tx.Prune(later, 100)
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	m := send(t, db, time.Hour, to)
	if m.Seq <= last {
		t.Errorf("seq %d after %d", m.Seq, last)
	}
	mustWrite(t, db, func(tx *Tx) error {
		expired, _, err := tx.Expire(later, 100)
		if len(expired) != 1 {
			t.Errorf("%d expired", len(expired))
		}
		return err
	})
}

func TestExpireSaysThatThereIsMore(t *testing.T) {
	db := open(t)
	to := addresses(t, db, 1)[0]
	mustWrite(t, db, func(tx *Tx) error {
		for i := range 500 {
			m := message()
			if err := tx.AddMessage(m, []int64{to}); err != nil {
				return err
			}
			if i == 499 {
				break
			}
			if _, err := tx.MarkSeen(to, []int64{m.Seq}, epoch); err != nil {
				return err
			}
		}
		return nil
	})
	found := 0
	for more := true; more; {
		mustWrite(t, db, func(tx *Tx) (err error) {
			var expired []Expired
			expired, more, err = tx.Expire(epoch.Add(time.Hour), 10)
			found += len(expired)
			return err
		})
	}
	if found != 1 {
		t.Errorf("%d expired", found)
	}
}
