package store

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestWhatARecipientMissedIsCountedUntilItIsTold(t *testing.T) {
	db := open(t)
	all := addresses(t, db, 2)
	a, heir := all[0], all[1]
	event := func(to int64, source string) *Message {
		m := &Message{Target: "x", Created: epoch, Expires: epoch.Add(time.Hour), Ciphertext: "{}", Source: source}
		mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(m, []int64{to}) })
		return m
	}
	take := func(of int64) (got []Missed) {
		mustWrite(t, db, func(tx *Tx) (err error) {
			got, err = tx.TakeMissed(of)
			return err
		})
		return got
	}
	had := event(a, "webhook 1")
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.MarkDelivered(a, []int64{had.Seq}, time.Time{}, epoch, false)
		return err
	})
	for range 3 {
		event(a, "webhook 1")
	}
	event(a, "watch 1")
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.GiveWay(a, "webhook 1", 1, epoch)
		return err
	})
	mustWrite(t, db, func(tx *Tx) error {
		over, err := tx.ExpireEvents(epoch.Add(time.Hour), epoch.Add(time.Hour), 10)
		if len(over) != 2 {
			t.Errorf("expired: %v", over)
		}
		return err
	})
	event(a, SourceMissed)
	if got := take(a); got != nil {
		t.Errorf("while it is being told: %v", got)
	}
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.MoveDeliveries(a, heir, epoch)
		return err
	})
	if got := take(a); got != nil {
		t.Errorf("after its heir has it: %v", got)
	}
	mustWrite(t, db, func(tx *Tx) error { // what told it expires, and is not missed itself
		_, err := tx.ExpireEvents(epoch.Add(time.Hour), epoch.Add(time.Hour), 10)
		return err
	})
	if got, want := take(heir), []Missed{{"webhook 1", 3}, {"watch 1", 1}}; !slices.Equal(got, want) {
		t.Errorf("missed %v, want %v", got, want)
	}
	if got := take(heir); got != nil {
		t.Errorf("twice: %v", got)
	}
}

func TestMissedSourcesAreBounded(t *testing.T) {
	db := open(t)
	a := addresses(t, db, 1)[0]
	var got []Missed
	mustWrite(t, db, func(tx *Tx) (err error) {
		for i := range maxMissed + 5 {
			if err := tx.missed(a, fmt.Sprintf("webhook %03d", i), 1); err != nil {
				return err
			}
		}
		if err := tx.missed(a, "webhook 000", 1); err != nil {
			return err
		}
		got, err = tx.TakeMissed(a)
		return err
	})
	if len(got) != maxMissed+1 || got[0] != (Missed{"", 5}) || got[1] != (Missed{"webhook 000", 2}) {
		t.Errorf("%d of them, %v", len(got), got[:2])
	}
}
