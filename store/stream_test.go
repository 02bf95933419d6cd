package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAStreamKeepsItsNewestEntries(t *testing.T) {
	for _, c := range []struct {
		name              string
		keep, bytes, size int // of each of 10 entries
		first             int64
		kept              int
	}{
		{"all there is room for", 100, 1000, 10, 1, 10},
		{"as many as it keeps", 3, 1000, 10, 8, 3},
		{"as many bytes as may be", 100, 35, 10, 8, 3},
		{"the newest, whatever its size", 100, 5, 10, 10, 1},
		{"none", 0, 1000, 10, 11, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t)
			mustWrite(t, db, func(tx *Tx) error {
				return tx.CreateStream(&Stream{ID: "i", Name: "s", Keep: c.keep, CreatedBy: "A", MemberID: "m", Created: epoch}, 10)
			})
			for i := range 10 {
				mustWrite(t, db, func(tx *Tx) error {
					s, err := tx.Stream("s")
					if err != nil {
						return err
					}
					e := &Entry{Published: epoch, Publisher: "P", Data: json.RawMessage(`"` + strings.Repeat("é", (c.size-2)/2) + `"`)}
					if err := tx.AddEntry(s, e, c.bytes); err != nil {
						return err
					}
					if e.Seq != int64(i+1) {
						t.Errorf("entry %d has the number %d", i+1, e.Seq)
					}
					return nil
				})
			}
			mustRead(t, db, func(rx *Rx) error {
				s, err := rx.Stream("s")
				if err != nil {
					return err
				}
				all, more, err := rx.Entries(s, 0, 1<<20)
				if s.Last != 10 || s.First() != c.first || s.Kept != c.kept || s.Bytes != c.kept*c.size || len(all) != c.kept || more {
					t.Errorf("%+v, first %d, %d entries, more %v", s, s.First(), len(all), more)
				}
				if c.kept > 0 && (all[0].Seq != c.first || all[0].Publisher != "P" || !all[0].Published.Equal(epoch)) {
					t.Errorf("%+v", all[0])
				}
				return err
			})
		})
	}
}

func TestEntriesComeByPages(t *testing.T) {
	db := open(t)
	s := &Stream{ID: "i", Name: "s", Keep: 100, Created: epoch}
	mustWrite(t, db, func(tx *Tx) error { return tx.CreateStream(s, 10) })
	for range 7 {
		mustWrite(t, db, func(tx *Tx) error {
			return tx.AddEntry(s, &Entry{Published: epoch, Data: json.RawMessage(`12345678`)}, 1<<20)
		})
	}
	mustRead(t, db, func(rx *Rx) error {
		var got []int64
		var pages int
		for from, more := int64(2), true; more; pages++ {
			var page []Entry
			var err error
			if page, more, err = rx.Entries(s, from, 2*(8+entryOverhead)); err != nil {
				return err
			}
			for _, e := range page {
				got, from = append(got, e.Seq), e.Seq+1
			}
		}
		if fmt.Sprint(got) != "[2 3 4 5 6 7]" || pages != 3 {
			t.Errorf("%v in %d pages", got, pages)
		}
		one, more, err := rx.Entries(s, 7, 1)
		if len(one) != 1 || more {
			t.Errorf("%v, more %v", one, more)
		}
		return err
	})
}

func TestStreams(t *testing.T) {
	db := open(t)
	want := &Stream{ID: "i", Name: "s", Keep: 5, CreatedBy: "A", MemberID: "m", Created: epoch}
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "the first", tx.CreateStream(want, 2), nil)
		again := *want
		wants(t, "same name", tx.CreateStream(&again, 2), ErrConflict)
		wants(t, "another", tx.CreateStream(&Stream{ID: "j", Name: "t", Created: epoch}, 2), nil)
		wants(t, "one too many", tx.CreateStream(&Stream{ID: "k", Name: "u", Created: epoch}, 2), ErrLimit)
		_, err := tx.Stream("u")
		wants(t, "no such stream", err, ErrNotFound)
		return tx.AddEntry(want, &Entry{Published: epoch, Data: json.RawMessage(`null`)}, 100)
	})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Streams()
		if len(all) != 2 {
			t.Fatalf("%d streams", len(all))
		}
		equal(t, all[0], want)
		return err
	})
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "delete nothing", tx.DeleteStream("u"), ErrNotFound)
		if err := tx.DeleteStream("s"); err != nil {
			return err
		}
		all, _, err := tx.Entries(want, 0, 100)
		if len(all) > 0 {
			t.Errorf("its entries stay: %v", all)
		}
		return err
	})
}

func TestSubscriptions(t *testing.T) {
	db := open(t)
	var a, b Address
	mustWrite(t, db, func(tx *Tx) (err error) {
		if a, err = tx.EnsureAddress(strings.Repeat("a", 64), KindSession, "m", epoch); err != nil {
			return err
		}
		if b, err = tx.EnsureAddress(strings.Repeat("b", 64), KindSession, "m", epoch); err != nil {
			return err
		}
		for _, s := range []*Session{{Address: a.ID, MemberID: "m"}, {Address: b.ID, MemberID: "n"}} {
			s.Connected, s.LastSeen = epoch, epoch
			if err := tx.SaveSession(s); err != nil {
				return err
			}
		}
		return nil
	})
	has := func(tx *Tx, addr int64, want string) {
		t.Helper()
		got, err := tx.Subscriptions(addr)
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("subscribes to %v, want %s, %v", got, want, err)
		}
	}
	mustWrite(t, db, func(tx *Tx) error {
		for _, name := range []string{"y", "x", "y"} {
			wants(t, name, tx.Subscribe(a.ID, name, 2), nil)
		}
		has(tx, a.ID, "x y")
		return errors.Join(tx.Unsubscribe(a.ID, "none"), tx.Unsubscribe(a.ID, "x"), tx.Subscribe(b.ID, "z", 2))
	})
	wants(t, "one too many", db.Write(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Subscribe(a.ID, "x", 2), tx.Subscribe(a.ID, "w", 2))
	}), ErrLimit)
	mustWrite(t, db, func(tx *Tx) error {
		has(tx, a.ID, "y")
		has(tx, b.ID, "z")
		return tx.EndMemberSubscriptions("m")
	})
	mustWrite(t, db, func(tx *Tx) error {
		has(tx, a.ID, "")
		has(tx, b.ID, "z")
		return tx.EndSubscriptions(b.ID)
	})
	mustWrite(t, db, func(tx *Tx) error { has(tx, b.ID, ""); return nil })
}
