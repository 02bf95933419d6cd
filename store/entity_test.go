package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// wants fails the test unless err wraps want, or is nil where want is.
func wants(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMesh(t *testing.T) {
	db := open(t)
	want := Mesh{ID: "m", Slug: "home", Name: "Home", Owner: "o", SelfEditable: SelfEditable{DisplayName: true}, MessageTTL: DefaultMessageTTL, Created: epoch}
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.Mesh()
		wants(t, "no mesh", err, ErrNotFound)
		in := want
		in.MessageTTL = 0
		if err := tx.CreateMesh(in); err != nil {
			return err
		}
		wants(t, "second mesh", tx.CreateMesh(in), ErrConflict)
		got, err := tx.Mesh()
		equal(t, got, want)
		return err
	})
	mustWrite(t, db, func(tx *Tx) error {
		want.SelfEditable = SelfEditable{Groups: true, MessageMode: true}
		want.Archived = epoch.Add(time.Hour)
		return errors.Join(tx.SetSelfEditable(want.SelfEditable), tx.Archive(want.Archived), tx.Archive(want.Archived.Add(1)))
	})
	mustRead(t, db, func(rx *Rx) error { got, err := rx.Mesh(); equal(t, got, want); return err })
}

func TestMember(t *testing.T) {
	db := open(t)
	a := &Member{ID: "a", PubKey: "ka", DisplayName: "A", Permission: PermissionAdmin, RoleTag: "lead", Groups: []Group{{"g", "r"}, {"h/i", ""}}, MessageMode: ModePush, Joined: epoch}
	b := &Member{ID: "b", PubKey: "kb", DisplayName: "B", Permission: PermissionMember, Groups: []Group{}, MessageMode: ModeInbox, Joined: epoch.Add(1e9), LastSeen: epoch.Add(2e9)}
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(tx.AddMember(a), tx.AddMember(b)) })
	twin := *a
	twin.ID = "twin"
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "same key", tx.AddMember(&twin), ErrConflict)
		bad := *a
		bad.ID, bad.PubKey, bad.Permission = "bad", "kc", "king"
		if tx.AddMember(&bad) == nil {
			t.Error("a permission that does not exist")
		}
		got, err := tx.MemberByKey("ka")
		equal(t, got, a)
		all, allErr := tx.Members()
		equal(t, all, []*Member{a, b})
		a.DisplayName, a.Groups, a.RoleTag, a.MessageMode = "AA", []Group{}, "", ModeOff
		return errors.Join(err, allErr, tx.UpdateMember(a), tx.SeenMember("a", epoch.Add(1e9)), tx.SeenMember("a", epoch))
	})
	a.LastSeen = epoch.Add(1e9)
	mustWrite(t, db, func(tx *Tx) error {
		got, err := tx.Member("a")
		equal(t, got, a)
		wants(t, "update nobody", tx.UpdateMember(&Member{ID: "x", Permission: PermissionAdmin, MessageMode: ModeOff}), ErrNotFound)
		return errors.Join(err, tx.RevokeMember("a", epoch))
	})
	a.Revoked = epoch
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.MemberByKey("ka")
		wants(t, "revoked, by key", err, ErrNotFound)
		wants(t, "revoke again", tx.RevokeMember("a", epoch), ErrNotFound)
		wants(t, "update a revoked one", tx.UpdateMember(a), ErrNotFound)
		got, err := tx.Member("a")
		equal(t, got, a)
		all, allErr := tx.Members()
		equal(t, all, []*Member{b})
		return errors.Join(err, allErr, tx.AddMember(&twin)) // the key is free again
	})
}

func TestInvite(t *testing.T) {
	db := open(t)
	name := "N"
	v := &Invite{ID: "i", TokenHash: HashToken("t"), Role: PermissionMember, MaxUses: 2, Expires: epoch.Add(1e9), Preset: InvitePreset{DisplayName: &name, Groups: &[]Group{{"g", ""}}}, Creator: "k", Created: epoch}
	mustWrite(t, db, func(tx *Tx) error {
		if err := tx.AddInvite(v); err != nil {
			return err
		}
		again := *v
		again.ID = "j"
		wants(t, "same token", tx.AddInvite(&again), ErrConflict)
		got, err := tx.InviteByToken(HashToken("t"))
		equal(t, got, v)
		_, notErr := tx.InviteByToken(HashToken("u"))
		wants(t, "no such token", notErr, ErrNotFound)
		wants(t, "first use", tx.UseInvite("i"), nil)
		wants(t, "second use", tx.UseInvite("i"), nil)
		wants(t, "third use", tx.UseInvite("i"), ErrLimit)
		wants(t, "use nothing", tx.UseInvite("x"), ErrNotFound)
		wants(t, "revoke nothing", tx.RevokeInvite("x", epoch), ErrNotFound)
		return errors.Join(err, tx.RevokeInvite("i", epoch), tx.RevokeInvite("i", epoch.Add(1e9)))
	})
	v.Used, v.Revoked = 2, epoch
	mustRead(t, db, func(rx *Rx) error { all, err := rx.Invites(); equal(t, all, []*Invite{v}); return err })
}

func TestAddress(t *testing.T) {
	db := open(t)
	key := func(s string) string { return s + strings.Repeat("0", 64-len(s)) }
	ensure := func(tx *Tx, k, kind, member string, want error) (a Address) {
		t.Helper()
		a, err := tx.EnsureAddress(key(k), kind, member, epoch)
		wants(t, k+" "+kind+" "+member, err, want)
		return a
	}
	mustWrite(t, db, func(tx *Tx) error {
		for _, m := range []string{"m1", "m2"} {
			if err := tx.AddMember(&Member{ID: m, PubKey: key(m), Permission: PermissionMember, MessageMode: ModePush, Joined: epoch}); err != nil {
				return err
			}
		}
		unknown := ensure(tx, "ab", KindUnknown, "", nil)
		session := ensure(tx, "ab", KindSession, "m1", nil)
		if unknown.ID != session.ID || session.Kind != KindSession || session.MemberID != "m1" {
			t.Errorf("%+v became %+v", unknown, session)
		}
		equal(t, ensure(tx, "ab", KindUnknown, "", nil), session)
		equal(t, ensure(tx, "ab", KindSession, "m1", nil), session)
		ensure(tx, "ab", KindSession, "m2", ErrConflict)
		ensure(tx, "ab", KindMember, "m2", ErrConflict)
		ensure(tx, "m1", KindMember, "m1", nil)
		if a := ensure(tx, "m1", KindSession, "m1", nil); a.Kind != KindMember {
			t.Error("a member's key is its session's key, and no longer its own")
		}
		got, err := tx.AddressByID(session.ID)
		equal(t, got, session)
		return err
	})
	mustWrite(t, db, func(tx *Tx) error {
		for i := range 3 {
			ensure(tx, fmt.Sprint("ac", i), KindUnknown, "", nil)
		}
		for prefix, want := range map[string]int{"ab": 1, "ac": 3, "a": 4, "ad": 0, "ac1": 1, key("ab"): 1} {
			all, err := tx.AddressesByPrefix(prefix, 10)
			if len(all) != want || err != nil {
				t.Errorf("%d addresses begin with %s, want %d, %v", len(all), prefix, want, err)
			}
		}
		if all, _ := tx.AddressesByPrefix("a", 2); len(all) != 2 {
			t.Error("limit ignored")
		}
		_, err := tx.Address(key("ff"))
		wants(t, "never seen", err, ErrNotFound)
		wants(t, "use nothing", tx.UseAddress(999, epoch), ErrNotFound)
		return nil
	})
	mustWrite(t, db, func(tx *Tx) error {
		if err := tx.RevokeMember("m1", epoch); err != nil {
			return err
		}
		if err := tx.AddMember(&Member{ID: "m3", PubKey: key("m1"), Permission: PermissionMember, MessageMode: ModePush, Joined: epoch}); err != nil {
			return err
		}
		ensure(tx, "ab", KindSession, "m2", ErrConflict)
		if a := ensure(tx, "ab", KindSession, "m3", nil); a.MemberID != "m3" {
			t.Error("enrolled again, but the session is still the old member's")
		}
		return nil
	})
}

func TestSession(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 3)
	s := func(i int, online bool) *Session {
		return &Session{Address: ids[i], MemberID: "m", HostSession: "h", DisplayName: "D", Groups: []Group{{"g", "r"}}, Profile: json.RawMessage(`{"title":"T"}`),
			Visible: true, Summary: "busy", Stats: Stats{1, 2, 3, 4}, Role: "r", Cwd: "/c", Hostname: "box", PID: 7, PeerType: "ai", Channel: "ch", Model: "mo", Proto: 2,
			Online: online, Connected: epoch, LastSeen: epoch.Add(time.Duration(i) * time.Second)}
	}
	first, second, third := s(0, true), s(1, false), s(2, true)
	second.Profile, second.Summary, second.Groups = nil, "", []Group{}
	mustWrite(t, db, func(tx *Tx) error {
		return errors.Join(tx.SaveSession(third), tx.SaveSession(first), tx.SaveSession(first), tx.SaveSession(second))
	})
	mustRead(t, db, func(rx *Rx) error {
		got, err := rx.Session(ids[1])
		equal(t, got, second)
		latest, latestErr := rx.LatestSession("m")
		equal(t, latest, third)
		online, onlineErr := rx.OnlineSessions()
		equal(t, online, []*Session{first, third})
		all, allErr := rx.Sessions("m")
		equal(t, all, []*Session{third, second, first})
		_, noErr := rx.Session(99)
		wants(t, "no session", noErr, ErrNotFound)
		_, noErr = rx.LatestSession("x")
		wants(t, "no member", noErr, ErrNotFound)
		return errors.Join(err, latestErr, onlineErr, allErr)
	})
	err := db.Write(t.Context(), func(tx *Tx) error { lost := *first; lost.Address = 99; return tx.SaveSession(&lost) })
	if err == nil {
		t.Error("saved a session without an address")
	}
	err = db.Write(t.Context(), func(tx *Tx) error { odd := *first; odd.Profile = json.RawMessage("{"); return tx.SaveSession(&odd) })
	if err == nil {
		t.Error("saved a profile that cannot be read again")
	}
}

func TestSweepTakesOnlyWhatNobodyNeeds(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 8) // used at epoch
	late := epoch.Add(40 * 24 * time.Hour)
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.EnsureAddress(strings.Repeat("f", 64), KindMember, "m", epoch)
		n := &Notice{Recipient: ids[2], Kind: "k", Body: json.RawMessage("1"), Created: epoch}
		_, noticeErr := tx.AddNotice(n)
		return errors.Join(err, noticeErr,
			tx.SaveSession(&Session{Address: ids[0], MemberID: "m", Online: true, Connected: epoch, LastSeen: epoch}),
			tx.AddMessage(message(), []int64{ids[1]}),
			tx.UseAddress(ids[3], late),
			tx.SaveSession(&Session{Address: ids[4], MemberID: "m", Connected: epoch, LastSeen: epoch}))
	})
	var swept int
	for range 6 { // twice round, three at a time
		mustWrite(t, db, func(tx *Tx) error {
			n, err := tx.SweepAddresses(late.Add(-time.Hour), 3)
			swept += n
			return err
		})
	}
	if swept != 4 {
		t.Error("swept", swept)
	}
	mustRead(t, db, func(rx *Rx) error {
		for i, id := range ids {
			_, err := rx.AddressByID(id)
			if gone := errors.Is(err, ErrNotFound); gone != (i >= 4) {
				t.Errorf("address %d: %v", i, err)
			}
		}
		_, err := rx.Session(ids[4])
		wants(t, "session of a swept address", err, ErrNotFound)
		return nil
	})
	mustWrite(t, db, func(tx *Tx) error {
		a, err := tx.EnsureAddress(strings.Repeat("e", 64), KindUnknown, "", epoch)
		if a.ID <= ids[7] {
			t.Error("a number was given out again:", a.ID)
		}
		return err
	})
}

func TestNotices(t *testing.T) {
	db := open(t)
	var dropped int
	mustWrite(t, db, func(tx *Tx) error {
		for i := range maxNotices + 5 {
			for _, recipient := range []int64{1, 2} {
				if recipient == 2 && i > 3 {
					continue
				}
				n, err := tx.AddNotice(&Notice{Recipient: recipient, Kind: "receipt", Body: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i)), Created: epoch})
				if err != nil {
					return err
				}
				dropped += n
			}
		}
		return nil
	})
	if dropped != 5 {
		t.Error("dropped", dropped)
	}
	mustWrite(t, db, func(tx *Tx) error {
		all, err := tx.Notices(1, 2000)
		if len(all) != maxNotices || string(all[0].Body) != `{"i":5}` || all[0].Kind != "receipt" || !all[0].Created.Equal(epoch) {
			t.Errorf("%d notices from %+v", len(all), all[0])
		}
		return errors.Join(err, tx.DeleteNotices([]int64{all[0].ID, all[1].ID, 1 << 40}))
	})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Notices(1, 1)
		if len(all) != 1 || string(all[0].Body) != `{"i":7}` {
			t.Errorf("%+v", all)
		}
		other, otherErr := rx.Notices(2, 10)
		if len(other) != 4 {
			t.Error("another's notices:", len(other))
		}
		return errors.Join(err, otherErr)
	})
}

func TestNoticeIDsGrowThoughTheNewestIsDeleted(t *testing.T) {
	db := open(t)
	to := addresses(t, db, 1)[0]
	first, second := &Notice{Recipient: to, Kind: "k", Body: json.RawMessage("1"), Created: epoch}, &Notice{Recipient: to, Kind: "k", Body: json.RawMessage("2"), Created: epoch}
	mustWrite(t, db, func(tx *Tx) error { _, err := tx.AddNotice(first); return err })
	mustWrite(t, db, func(tx *Tx) error { return tx.DeleteNotices([]int64{first.ID}) })
	mustWrite(t, db, func(tx *Tx) error { _, err := tx.AddNotice(second); return err })
	if second.ID <= first.ID {
		t.Errorf("%d after %d", second.ID, first.ID)
	}
}
