package seal

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The vectors of the protocol.
func TestAuditHashes(t *testing.T) {
	var at AuditLink
	for _, c := range []struct {
		event, actor, payload, created, hash string
	}{
		{"state_set", "member01", `{"key":"sprint","value":"W14"}`, "2026-01-02T03:04:05.678Z", "5d5d3d2b6fdf323dda808fcbc42caaae504b90f1dbdf197baf80d631077e3276"},
		{"peer_left", "", `{}`, "2026-01-02T03:04:06.000Z", "470e55beca2ac3079bdc48a7bc9da5e82972aef6b74107cba5f6ca2185570625"},
	} {
		created, err := time.Parse(time.RFC3339, c.created)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := CanonicalJSON([]byte(c.payload))
		if err != nil {
			t.Fatal(err)
		}
		r := &AuditRecord{Event: c.event, Actor: c.actor, Payload: payload, Created: created}
		next := r.Follow(at, "mesh01")
		if got := hex.EncodeToString(r.Hash[:]); got != c.hash || next.String() != c.hash {
			t.Errorf("%s: hash %s, want %s", c.event, got, c.hash)
		}
		checked, err := at.Next("mesh01", r)
		if err != nil || checked != next {
			t.Errorf("%s does not follow: %v", c.event, err)
		}
		at = next
	}
}

func TestAChainIsBrokenByWhatDoesNotFollow(t *testing.T) {
	var at AuditLink
	good := AuditRecord{Event: "state_set", Actor: "m1", Payload: []byte(`{"key":"a"}`), Created: time.UnixMilli(1_700_000_000_000)}
	good.Follow(at, "mesh")
	for name, alter := range map[string]func(*AuditRecord) string{
		"another mesh":    func(*AuditRecord) string { return "other" },
		"another id":      func(r *AuditRecord) string { r.ID = 2; return "mesh" },
		"another event":   func(r *AuditRecord) string { r.Event = "state_get"; return "mesh" },
		"another actor":   func(r *AuditRecord) string { r.Actor = "m2"; return "mesh" },
		"no actor":        func(r *AuditRecord) string { r.Actor = ""; return "mesh" },
		"another payload": func(r *AuditRecord) string { r.Payload = []byte(`{"key":"b"}`); return "mesh" },
		"another time":    func(r *AuditRecord) string { r.Created = r.Created.Add(time.Millisecond); return "mesh" },
		"another hash":    func(r *AuditRecord) string { r.Hash[31] ^= 1; return "mesh" },
	} {
		r := good
		if _, err := at.Next(alter(&r), &r); err == nil {
			t.Errorf("%s: the entry is taken", name)
		}
	}
	nobody := AuditRecord{Event: "peer_left", Payload: []byte(`{}`), Created: good.Created}
	nobody.Follow(at, "mesh")
	nobody.Actor = "null"
	if _, err := at.Next("mesh", &nobody); err == nil {
		t.Error("a member called null is taken for none")
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"names are sorted at every level, blanks gone", `{ "b" : [1, {"z":1,"a":null}], "a":true }`, `{"a":true,"b":[1,{"a":null,"z":1}]}`},
		{"minimal escapes", `"\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/<>&\u2028"`, "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/<>&\u2028\""},
		{"numbers as ECMAScript writes them", `[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,-0,1.0]`, `[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1]`},
		{"names by code point", `{"é":1,"e":2,"":3,"€":4}`, `{"":3,"e":2,"é":1,"€":4}`},
	} {
		got, err := CanonicalJSON([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "{", "1 2", `1e999`, strings.Repeat("[", 40) + strings.Repeat("]", 40)} {
		if got, err := CanonicalJSON([]byte(bad)); err == nil {
			t.Errorf("%.20s is taken, as %s", bad, got)
		}
	}
}

func FuzzCanonicalJSON(f *testing.F) {
	f.Add([]byte(`{"b":[1,2.5e3,"x\n"],"a":{"c":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := CanonicalJSON(text)
		if err != nil {
			return
		}
		twice, err := CanonicalJSON(once)
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q becomes %q, %v", once, twice, err)
		}
	})
}
