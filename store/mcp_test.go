package store

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestMCPServersAreFoundByHostAndMember(t *testing.T) {
	db := open(t)
	at := time.UnixMilli(1_700_000_000_000).UTC()
	put := func(s MCPServer, limit, own int) error {
		return db.Write(t.Context(), func(tx *Tx) error { return tx.PutMCPServer(&s, limit, own) })
	}
	a := MCPServer{Name: "a", Description: "d", MemberID: "m1", Host: 7, HostName: "alice", Persistent: true, Registered: at, Tools: json.RawMessage(`[{"name":"t"}]`)}
	b := MCPServer{Name: "b", MemberID: "m2", Host: 8, Registered: at, Offline: at, Tools: json.RawMessage(`[]`)}
	for _, s := range []MCPServer{a, b} {
		if err := put(s, 2, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name       string
		s          MCPServer
		limit, own int
		want       error
	}{
		{"one too many of the mesh", MCPServer{Name: "c", MemberID: "m3", Registered: at, Tools: json.RawMessage(`[]`)}, 2, 5, ErrLimit},
		{"one too many of the member", MCPServer{Name: "c", MemberID: "m1", Registered: at, Tools: json.RawMessage(`[]`)}, 5, 1, ErrLimit},
		{"in the place of its own", a, 2, 1, nil},
	} {
		if err := put(c.s, c.limit, c.own); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	err := db.Read(t.Context(), func(rx *Rx) error {
		got, err := rx.MCPServer("a")
		if err != nil || got.Description != "d" || !got.Persistent || !got.Registered.Equal(at) || !got.Offline.IsZero() || string(got.Tools) != `[{"name":"t"}]` {
			t.Errorf("a is %+v, %v", got, err)
		}
		if got, err := rx.MCPHost("b"); err != nil || got.Host != 8 || !got.Offline.Equal(at) {
			t.Errorf("b is %+v, %v", got, err)
		}
		if _, err := rx.MCPServer("c"); !errors.Is(err, ErrNotFound) {
			t.Error("c:", err)
		}
		for _, c := range []struct {
			name string
			find func() ([]*MCPServer, error)
			want string
		}{
			{"of a host", func() ([]*MCPServer, error) { return rx.MCPServersOfHost(7) }, "a"},
			{"of a host that is away", func() ([]*MCPServer, error) { return rx.MCPServersOfHost(8) }, ""},
			{"of a member", func() ([]*MCPServer, error) { return rx.MCPServersOf("m2") }, "b"},
			{"away for long", func() ([]*MCPServer, error) { return rx.MCPServersAway(at) }, "b"},
			{"not away for long", func() ([]*MCPServer, error) { return rx.MCPServersAway(at.Add(-1)) }, ""},
			{"after a name", func() (all []*MCPServer, err error) {
				err = rx.EachMCPServer("a", func(s *MCPServer) bool { all = append(all, s); return true })
				return all, err
			}, "b"},
		} {
			all, err := c.find()
			names := ""
			for _, s := range all {
				names += s.Name
			}
			if err != nil || names != c.want {
				t.Errorf("%s: %q, %v", c.name, names, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, db, func(tx *Tx) error { return tx.DeleteMCPServer("a") })
	if err := db.Write(t.Context(), func(tx *Tx) error { return tx.DeleteMCPServer("a") }); !errors.Is(err, ErrNotFound) {
		t.Error("deleted again:", err)
	}
}
