package store

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestGoneSessionsAreThoseThatMissSomething(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 4)
	mustWrite(t, db, func(tx *Tx) error {
		errs := []error{tx.AddMember(&Member{ID: "m", PubKey: "k", DisplayName: "m", Permission: PermissionMember, MessageMode: ModePush, Joined: epoch})}
		for i, id := range ids {
			errs = append(errs, tx.SaveSession(&Session{Address: id, MemberID: "m", Online: i == 1, Connected: epoch, LastSeen: epoch.Add(time.Duration(i) * time.Minute)}))
		}
		return errors.Join(append(errs, tx.AddMessage(message(), []int64{ids[0], ids[1], ids[3]}))...)
	})
	gone := func(since time.Time) (list []int64) {
		mustRead(t, db, func(rx *Rx) error {
			all, err := rx.GoneSessions(since, 10)
			for _, s := range all {
				list = append(list, s.Address)
			}
			return err
		})
		return list
	}
	equal(t, gone(epoch.Add(3*time.Minute)), []int64{ids[0]}) // 1 is online, 2 misses nothing, 3 is too young
	mustWrite(t, db, func(tx *Tx) error { _, err := tx.MarkSeen(ids[0], []int64{1}, epoch); return err })
	if list := gone(epoch.Add(3 * time.Minute)); list != nil {
		t.Error(list)
	}
}

func TestAProbeTellsWhenTheDiskIsFullAndWhenItIsNot(t *testing.T) {
	db := open(t)
	wants(t, "before anything", db.Probe(t.Context()), nil)
	limit := func(pages int) error {
		return db.Write(t.Context(), func(tx *Tx) error { return tx.script(fmt.Sprint("PRAGMA max_page_count = ", pages)) })
	}
	wants(t, "limit", limit(1), nil)
	fill := func(tx *Tx) error {
		m := message()
		m.Ciphertext = string(make([]byte, 1<<20))
		return tx.AddMessage(m, nil)
	}
	wants(t, "fill", db.Write(t.Context(), fill), ErrUnavailable)
	if !db.failing.Load() {
		t.Error("a lost batch was not noted")
	}
	wants(t, "no limit", limit(1<<30), nil)
	wants(t, "with room again", db.Probe(t.Context()), nil)
	if db.failing.Load() {
		t.Error("a batch that was kept was not noted")
	}
}

func TestTheMessageTTLCanBeSet(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "no mesh", tx.SetMessageTTL(time.Hour), ErrNotFound)
		if err := tx.CreateMesh(Mesh{ID: "m", Created: epoch}); err != nil {
			return err
		}
		if tx.SetMessageTTL(0) == nil {
			t.Error("a life of no time")
		}
		return tx.SetMessageTTL(time.Hour)
	})
	mustRead(t, db, func(rx *Rx) error {
		m, err := rx.Mesh()
		equal(t, m.MessageTTL, time.Hour)
		return err
	})
}
