package store

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestServicesAreKeptWhole(t *testing.T) {
	db := open(t)
	at := time.UnixMilli(1_700_000_000_000).UTC()
	list := func(s string) json.RawMessage { return json.RawMessage(s) }
	a := Service{Name: "a", Description: "d", MemberID: "m1", Deployer: "alice", SourceType: "git", Source: list(`{"type":"git"}`), Config: list(`{"memory_mb":64}`),
		Secrets: []byte{1, 2}, Scope: list(`"mesh"`), Status: "running", Error: "e", Runtime: "node", Revision: "r2", Previous: "r1", Restarts: 2, Version: 3,
		Created: at, Updated: at.Add(time.Second), Tools: list(`[{"name":"t"}]`)}
	b := Service{Name: "b", MemberID: "m2", SourceType: "zip", Source: list(`{}`), Config: list(`{}`), Scope: list(`"peer"`), Status: "building", Created: at, Updated: at,
		Tools: list(`[]`)}
	put := func(s Service, limit int) error {
		return db.Write(t.Context(), func(tx *Tx) error { return tx.PutService(&s, limit) })
	}
	for _, s := range []Service{a, b} {
		if err := put(s, 2); err != nil {
			t.Fatal(err)
		}
	}
	again, other := b, b
	again.Status, other.Name = "failed", "c"
	for _, c := range []struct {
		name  string
		s     Service
		limit int
		want  error
	}{
		{"one too many", other, 2, ErrLimit},
		{"in the place of its own, with no room for another", again, 2, nil},
	} {
		if err := put(c.s, c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	bad := b
	bad.Status = "asleep"
	if put(bad, 9) == nil {
		t.Error("a status that is none was kept")
	}
	for _, c := range []struct {
		name string
		find func(*Rx) ([]*Service, error)
		want []*Service
	}{
		{"all", (*Rx).Services, []*Service{&a, &again}},
		{"of a member", func(rx *Rx) ([]*Service, error) { return rx.ServicesOf("m2") }, []*Service{&again}},
		{"of nobody", func(rx *Rx) ([]*Service, error) { return rx.ServicesOf("m3") }, nil},
		{"by name", func(rx *Rx) ([]*Service, error) {
			s, err := rx.Service("a")
			return []*Service{s}, err
		}, []*Service{&a}},
	} {
		var got []*Service
		err := db.Read(t.Context(), func(rx *Rx) (err error) {
			got, err = c.find(rx)
			return err
		})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	err := db.Write(t.Context(), func(tx *Tx) error {
		if err := tx.SetService(&other); !errors.Is(err, ErrNotFound) {
			t.Error("a service that is not there was changed:", err)
		}
		if err := tx.DeleteService("b"); err != nil {
			return err
		}
		if err := tx.DeleteService("b"); !errors.Is(err, ErrNotFound) {
			t.Error("deleted twice:", err)
		}
		_, err := tx.Service("b")
		return err
	})
	if !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
