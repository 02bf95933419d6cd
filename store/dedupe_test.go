package store

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func sent(t *testing.T, db *DB, sender int64, clientID string) (m *Message) {
	t.Helper()
	mustWrite(t, db, func(tx *Tx) error {
		found, ok, err := tx.Sent(sender, clientID)
		if ok {
			m = found
		}
		return err
	})
	return m
}

func sendAs(db *DB, tb testing.TB, sender int64, clientID string, at time.Time, result error) (*Message, error) {
	m := message()
	m.Sender, m.ClientID, m.Created, m.Digest = sender, clientID, at, [32]byte{7}
	return m, db.Write(tb.Context(), func(tx *Tx) error { return errors.Join(tx.AddMessage(m, nil), result) })
}

func TestARepeatedSendIsRecognised(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	db := openAt(t, path)
	if _, err := sendAs(db, t, 1, "ancient", epoch.Add(-25*time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	first, err := sendAs(db, t, 1, "c1", epoch, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sendAs(db, t, 1, "refused", epoch, ErrLimit); err == nil {
		t.Fatal("a refused write succeeded")
	}
	check := func(when string) {
		t.Helper()
		if m := sent(t, db, 1, "c1"); m == nil || m.ID != first.ID || m.Digest != first.Digest {
			t.Error(when, "not recognised:", m)
		}
		for _, stranger := range []struct {
			sender   int64
			clientID string
		}{{2, "c1"}, {1, "c2"}, {1, ""}, {1, "refused"}} {
			if m := sent(t, db, stranger.sender, stranger.clientID); m != nil {
				t.Error(when, "taken for a repetition:", stranger)
			}
		}
	}
	check("at once")
	if sent(t, db, 1, "ancient") == nil {
		t.Error("forgotten while the store is open")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	check("after reopening")
	if sent(t, db, 1, "ancient") != nil {
		t.Error("older than the span, and loaded")
	}
	retry, err := sendAs(db, t, 1, "refused", epoch, nil)
	if err != nil || sent(t, db, 1, "refused").ID != retry.ID {
		t.Error("a refused send has used up its id", err)
	}
}

// A send and its repetition may share a batch.
func TestARepetitionInTheSameBatchIsRecognised(t *testing.T) {
	db := open(t)
	var stored int
	once := func(tx *Tx) error {
		if _, ok, err := tx.Sent(1, "c"); ok || err != nil {
			return err
		}
		stored++
		m := message()
		m.ClientID = "c"
		return tx.AddMessage(m, nil)
	}
	for _, err := range gated(t, db, once, once, once) {
		if err != nil {
			t.Error(err)
		}
	}
	if stored != 1 {
		t.Error("stored", stored)
	}
}

func TestTheIndexOfSentMessagesIsBounded(t *testing.T) {
	x := newSentIndex(10)
	for i := range int64(25) {
		x.add(1, strconv.FormatInt(i, 10), i)
	}
	x.add(1, "24", 99) // given out again: the older entry must not take it along
	for i := range int64(9) {
		x.add(2, strconv.FormatInt(i, 10), 100+i)
	}
	if len(x.seqs) > 10 || len(x.queue) != 10 {
		t.Error(len(x.seqs), len(x.queue))
	}
	if x.seqs[x.hash(1, "24")] != 99 {
		t.Error("the newest entry left with an older one")
	}
	if _, ok := x.seqs[x.hash(1, "23")]; ok {
		t.Error("the oldest is still there")
	}
}
