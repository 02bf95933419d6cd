package store

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// What EnsureAddress remembers must not outlive the row.
func TestAnAddressThatIsGoneIsMadeAgain(t *testing.T) {
	key := strings.Repeat("a", 64)
	for name, lose := range map[string]func(t *testing.T, db *DB, ensure func(*Tx) Address){
		"its write was undone": func(t *testing.T, db *DB, ensure func(*Tx) Address) {
			undone := errors.New("undone")
			err := db.Write(t.Context(), func(tx *Tx) error {
				ensure(tx)
				ensure(tx) // from memory
				return undone
			})
			wants(t, "write", err, undone)
		},
		"it was swept": func(t *testing.T, db *DB, ensure func(*Tx) Address) {
			for range 2 {
				mustWrite(t, db, func(tx *Tx) error { ensure(tx); return nil })
			}
			mustWrite(t, db, func(tx *Tx) error {
				n, err := tx.SweepAddresses(epoch.Add(time.Hour), 10)
				if n != 1 {
					t.Error("swept", n)
				}
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			ensure := func(tx *Tx) Address {
				a, err := tx.EnsureAddress(key, KindUnknown, "", epoch)
				if err != nil {
					t.Error(err)
				}
				return a
			}
			lose(t, db, ensure)
			mustWrite(t, db, func(tx *Tx) error {
				_, err := tx.AddressByID(ensure(tx).ID)
				return err
			})
		})
	}
}
