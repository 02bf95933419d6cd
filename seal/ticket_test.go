package seal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestATicketIsForOneFileOneMemberAndItsTime(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	tickets, err := NewTickets([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	good, err := tickets.Make("mesh", "file", "ann", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if who, err := tickets.Check(good, "mesh", "file", now); err != nil || who != "ann" {
		t.Fatalf("%q, %v", who, err)
	}
	another, _ := NewTickets([32]byte{2})
	foreign, _ := another.Make("mesh", "file", "ann", now.Add(time.Minute))
	parts := strings.Split(good, ".")
	later := fmt.Sprintf("%d.%s.%s", now.Add(time.Hour).UnixMilli(), parts[1], parts[2])
	for name, c := range map[string]struct {
		ticket, mesh, file string
		now                time.Time
		want               error
	}{
		"of another file":     {good, "mesh", "file2", now, ErrTicket},
		"of another mesh":     {good, "mesh2", "file", now, ErrTicket},
		"in another's name":   {strings.Replace(good, "ann", "bob", 1), "mesh", "file", now, ErrTicket},
		"with another expiry": {later, "mesh", "file", now, ErrTicket},
		"of another broker":   {foreign, "mesh", "file", now, ErrTicket},
		"at its expiry":       {good, "mesh", "file", now.Add(time.Minute), ErrTicketExpired},
		"cut":                 {good[:len(good)-1], "mesh", "file", now, ErrTicket},
		"padded":              {good + "=", "mesh", "file", now, ErrTicket},
		"nothing":             {"", "mesh", "file", now, ErrTicket},
		"dots":                {"..", "mesh", "file", now, ErrTicket},
		"fields moved":        {good, "mesh|file", "", now, ErrTicket},
	} {
		if _, err := tickets.Check(c.ticket, c.mesh, c.file, c.now); !errors.Is(err, c.want) {
			t.Errorf("a ticket %s: %v, want %v", name, err, c.want)
		}
	}
	for _, id := range []string{"a|b", "a.b"} {
		if _, err := tickets.Make("mesh", "file", id, now); err == nil {
			t.Errorf("a ticket for %q", id)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", tickets, tickets, tickets); strings.Contains(s, "[1 ") || len(s) > 400 {
		t.Errorf("it prints as %s", s)
	}
}
