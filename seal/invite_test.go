package seal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

const exampleToken = "eyJ2IjoxLCJtZXNoX2lkIjoibWVzaDAxIiwibWVzaF9zbHVnIjoiZGVtbyIsImJyb2tlcl91cmwiOiJ3czovL2xvY2FsaG9zdDo3OTAwL3dzIiwiZXhwaXJlc19hdCI6MTkwMDAwMDAwMCwibWVzaF9yb290X2tleSI6IkFBRUNBd1FGQmdjSUNRb0xEQTBPRHhBUkVoTVVGUllYR0JrYUd4d2RIaDgiLCJyb2xlIjoibWVtYmVyIiwib3duZXJfcHVia2V5IjoiZWQ0OTI4YzYyOGQxYzJjNmVhZTkwMzM4OTA1OTk1NjEyOTU5MjczYTVjNjNmOTM2MzZjMTQ2MTRhYzg3MzdkMSIsInNpZ25hdHVyZSI6ImU1MjA2ZjYzNjJiMDhjZDg0ZTY5ZjMzZGI3NTE1ZGExYzZkMGE1NmFiMmZmNzFkOTk1ODg4MmVkYmU3ZThlZWIzMmU1NTc4NTRkOWM1YjM3MGJkNjNjZDIwNjA3N2MxZjk5ZTk0YTViZmUwMmU1ZDM0NzdmM2FhYWEwM2YzZTBjIn0"

func exampleInvite() Invite {
	return Invite{MeshID: "mesh01", MeshSlug: "demo", BrokerURL: "ws://localhost:7900/ws", ExpiresAt: 1900000000,
		MeshRootKey: testRootKey, Role: "member"}
}

func TestSignedInviteIsTheProtocolsExample(t *testing.T) {
	i := exampleInvite()
	if err := i.Sign(seeded(3)); err != nil {
		t.Fatal(err)
	}
	if i.Token() != exampleToken {
		t.Errorf("Token() = %s", i.Token())
	}
	if i.Signature != "e5206f6362b08cd84e69f33db7515da1c6d0a56ab2ff71d9958882edbe7e8eeb32e557854d9c5b370bd63cd206077c1f99e94a5bfe02e5d3477f3aaaa03f3e0c" {
		t.Errorf("Signature = %s", i.Signature)
	}
	wantIs(t, i.Validate(time.Unix(1900000000, 999)), nil)
	wantIs(t, i.Validate(time.Unix(1900000001, 0)), ErrInviteExpired)
	back, err := DecodeToken(exampleToken)
	if err != nil || !back.Equal(i) {
		t.Errorf("DecodeToken: %v", err)
	}
	if owner, err := back.Owner(); err != nil || owner != seeded(3).Public() {
		t.Errorf("Owner() = %s, %v", owner, err)
	}
}

func TestInviteIsPrintedWithoutItsRootKey(t *testing.T) {
	i := exampleInvite()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("invite", "invite", i)
	for _, s := range []string{log.String(), fmt.Sprint(i), fmt.Sprintf("%+v %s", &i, i)} {
		if strings.Contains(s, testRootKey) || !strings.Contains(s, "demo") {
			t.Errorf("it is printed as %s", s)
		}
	}
}

func TestTokenIsPlainJSONText(t *testing.T) {
	i := exampleInvite()
	i.BrokerURL = "wss://host.example/ws?a=1&b=<2>"
	if err := i.Sign(seeded(3)); err != nil {
		t.Fatal(err)
	}
	data, err := base64.RawURLEncoding.DecodeString(i.Token())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), `{"v":1,"mesh_id":"mesh01","mesh_slug":"demo","broker_url":"wss://host.example/ws?a=1&b=<2>","expires_at":1900000000,`) {
		t.Errorf("the token encodes %s", data)
	}
	wantIs(t, i.Verify(), nil)
}

// TestEveryFieldIsSigned changes each field of a good invite to another good value.
func TestEveryFieldIsSigned(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, change := range map[string]func(*Invite){
		"mesh_id":       func(i *Invite) { i.MeshID = "mesh02" },
		"mesh_slug":     func(i *Invite) { i.MeshSlug = "demo2" },
		"broker_url":    func(i *Invite) { i.BrokerURL = "ws://evil.example/ws" },
		"expires_at":    func(i *Invite) { i.ExpiresAt++ },
		"mesh_root_key": func(i *Invite) { i.MeshRootKey = NewRootKey() },
		"role":          func(i *Invite) { i.Role = "admin" },
		"owner_pubkey":  func(i *Invite) { i.OwnerPubkey = seeded(4).Public().String() },
		"owner case":    func(i *Invite) { i.OwnerPubkey = strings.ToUpper(i.OwnerPubkey) },
		"signature":     func(i *Invite) { i.Signature = seeded(3).Sign("another text") },
	} {
		good := exampleInvite()
		if err := good.Sign(seeded(3)); err != nil {
			t.Fatal(err)
		}
		changed := good
		change(&changed)
		if changed.Equal(good) {
			t.Errorf("%s: Equal does not see the change", name)
		}
		if err := changed.Validate(now); err == nil {
			t.Errorf("%s can be changed after signing", name)
		} else {
			wantIs(t, err, ErrInviteSignature)
		}
	}
}

func TestOwnerKeyOfUpperCaseSignsAsSent(t *testing.T) {
	i := exampleInvite()
	i.V, i.OwnerPubkey = 1, strings.ToUpper(seeded(3).Public().String())
	i.Signature = strings.ToUpper(seeded(3).Sign(i.text()))
	wantIs(t, i.Verify(), nil)
}

func TestUnfitFieldsAreNeitherSignedNorAccepted(t *testing.T) {
	for name, change := range map[string]func(*Invite){
		"no mesh id":         func(i *Invite) { i.MeshID = "" },
		"mesh id with bar":   func(i *Invite) { i.MeshID = "a|b" },
		"no slug":            func(i *Invite) { i.MeshSlug = "" },
		"slug with bar":      func(i *Invite) { i.MeshSlug = "demo|ws://x" },
		"slug with escape":   func(i *Invite) { i.MeshSlug = "demo\x1b[2J" },
		"slug not UTF-8":     func(i *Invite) { i.MeshSlug = "demo\xff" },
		"url with bar":       func(i *Invite) { i.BrokerURL = "ws://host/|" },
		"url of http":        func(i *Invite) { i.BrokerURL = "http://host/ws" },
		"url without host":   func(i *Invite) { i.BrokerURL = "ws:///ws" },
		"url with port only": func(i *Invite) { i.BrokerURL = "ws://:7900/ws" },
		"url with user":      func(i *Invite) { i.BrokerURL = "wss://good.example@evil.example/ws" },
		"url with fragment":  func(i *Invite) { i.BrokerURL = "wss://host/ws#x" },
		"no expiry":          func(i *Invite) { i.ExpiresAt = 0 },
		"negative expiry":    func(i *Invite) { i.ExpiresAt = -1 },
		"expiry past 2^53":   func(i *Invite) { i.ExpiresAt = maxInteger + 1 },
		"no root key":        func(i *Invite) { i.MeshRootKey = "" },
		"root key with bar":  func(i *Invite) { i.MeshRootKey = "|" + testRootKey[1:] },
		"root key of 31":     func(i *Invite) { i.MeshRootKey = testRootKey[:42] },
		"root key padded":    func(i *Invite) { i.MeshRootKey += "=" },
		"role of owner":      func(i *Invite) { i.Role = "owner" },
		"role in upper case": func(i *Invite) { i.Role = "Admin" },
		"long slug":          func(i *Invite) { i.MeshSlug = strings.Repeat("x", MaxLink) },
	} {
		t.Run(name, func(t *testing.T) {
			i := exampleInvite()
			change(&i)
			wantIs(t, i.Sign(seeded(3)), ErrInviteMalformed)
			if i.Signature != "" {
				t.Error("a refused invite was signed")
			}
			if name == "long slug" {
				return
			}
			i.V, i.OwnerPubkey = 1, seeded(3).Public().String()
			i.Signature = seeded(3).Sign(i.text())
			wantIs(t, i.Validate(time.Unix(1, 0)), ErrInviteMalformed)
			wantIs(t, i.Verify(), ErrInviteMalformed)
		})
	}
	good := exampleInvite()
	if err := good.Sign(seeded(3)); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[error]func(*Invite){
		ErrInviteVersion:   func(i *Invite) { i.V = 2 },
		ErrInviteMalformed: func(i *Invite) { i.Signature = i.Signature[1:] + "g" },
	} {
		i := good
		change(&i)
		wantIs(t, i.Verify(), want)
	}
	good.OwnerPubkey = "xyz"
	wantIs(t, good.Verify(), ErrInviteMalformed)
}

func TestPayloadsOfWrongShapeAreRefused(t *testing.T) {
	signed := exampleInvite()
	if err := signed.Sign(seeded(3)); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	with := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%s is not in the payload", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for _, tt := range []struct {
		name, payload string
		want          error
	}{
		{"as signed", good, nil},
		{"with space", strings.ReplaceAll(good, ",", " ,\n"), nil},
		{"with an unknown name", with("{", `{"x":{"y":[1]},`), nil},
		{"with a name of other case beside", with("{", `{"Role":"admin",`), nil},
		{"name of other case", with(`"role"`, `"Role"`), ErrInviteMalformed},
		{"field missing", with(`"role":"member",`, ``), ErrInviteMalformed},
		{"field null", with(`"role":"member"`, `"role":null`), ErrInviteMalformed},
		{"field twice", with("{", `{"role":"admin",`), ErrInviteMalformed},
		{"unknown name twice", with("{", `{"x":1,"x":1,`), ErrInviteMalformed},
		{"name twice, one escaped", with("{", `{"r\u006fle":"admin",`), ErrInviteMalformed},
		{"version 2", with(`"v":1`, `"v":2`), ErrInviteVersion},
		{"version as text", with(`"v":1`, `"v":"1"`), ErrInviteMalformed},
		{"version 1.0", with(`"v":1`, `"v":1.0`), ErrInviteMalformed},
		{"no version", with(`"v":1,`, ``), ErrInviteMalformed},
		{"number as text", with(`1900000000`, `"1900000000"`), ErrInviteMalformed},
		{"number with exponent", with(`1900000000`, `19e8`), ErrInviteMalformed},
		{"number past 2^53", with(`1900000000`, `9007199254740993`), ErrInviteMalformed},
		{"number past 2^64", with(`1900000000`, `19000000000000000000000`), ErrInviteMalformed},
		{"negative number", with(`1900000000`, `-1`), ErrInviteMalformed},
		{"number of a million digits", with(`1900000000`, strings.Repeat("9", 1_000_000)), ErrInviteMalformed},
		{"text as number", with(`"mesh01"`, `1`), ErrInviteMalformed},
		{"trailing data", good + "{}", ErrInviteMalformed},
		{"trailing comma", with(`"}`, `",}`), ErrInviteMalformed},
		{"truncated", good[:len(good)-1], ErrInviteMalformed},
		{"not UTF-8", with("demo", "d\xffmo"), ErrInviteMalformed},
		{"array", "[" + good + "]", ErrInviteMalformed},
		{"null", "null", ErrInviteMalformed},
		{"empty", "", ErrInviteMalformed},
		{"deep", strings.Repeat("[", 40_000), ErrInviteMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var i Invite
			wantIs(t, i.UnmarshalJSON([]byte(tt.payload)), tt.want)
			if tt.want == nil && !i.Equal(signed) {
				t.Errorf("it reads as %+v", i)
			}
			if tt.want != nil && i != (Invite{}) {
				t.Errorf("an error and yet %+v", i)
			}
			token := base64.RawURLEncoding.EncodeToString([]byte(tt.payload))
			_, err := DecodeToken(token)
			wantIs(t, err, tt.want)
		})
	}
	for _, token := range []string{"", "a", exampleToken + "=", exampleToken[:20] + "\n" + exampleToken[20:], exampleToken[:len(exampleToken)-1] + "1",
		strings.Repeat("A", MaxLink+1)} {
		_, err := DecodeToken(token)
		wantIs(t, err, ErrInviteMalformed)
	}
}

func TestValidSlug(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "home": true, "0-x-": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, "A": false, "a_b": false, "a/b": false, "..": false, "a\n": false, "é": false,
		strings.Repeat("a", 65): false} {
		if got := ValidSlug(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func FuzzDecodeToken(f *testing.F) {
	for _, e := range readVectors(f).Invites {
		f.Add(e.Token)
	}
	f.Add(exampleToken)
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"v":1,"v":1}`)))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"v":1,"mesh_id":"\ud800"}`)))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		i, err := DecodeToken(token)
		if err != nil {
			return
		}
		back, err := DecodeToken(i.Token())
		if err == nil && !back.Equal(i) {
			t.Errorf("%+v encodes to %+v", i, back)
		}
		if i.Verify() == nil && strings.Count(i.text(), "|") != 7 {
			t.Errorf("ambiguous text %q was accepted", i.text())
		}
	})
}
