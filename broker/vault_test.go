package broker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// sealed makes a vault_set of a value that is sealed to m.
func (m *testMember) sealed(key, value string, more ...any) map[string]any {
	kf := seal.NewSecretKey()
	nonce, ciphertext := seal.SealSecret(kf, []byte(value))
	b64 := base64.StdEncoding.EncodeToString
	f := map[string]any{"type": "vault_set", "key": key, "ciphertext": b64(ciphertext), "nonce": b64(nonce[:]),
		"sealed_key": b64(must(seal.SealAnonymous(m.key.Public(), kf[:]))), "entry_type": "env", "mount_path": nil, "description": nil}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

// vaultSet is sealed as a frame.
func (m *testMember) vaultSet(key, value string) *wire.VaultSet {
	req := new(wire.VaultSet)
	if err := wire.Decode(must(json.Marshal(m.sealed(key, value))), req); err != nil {
		m.b.t.Fatal(err)
	}
	return req
}

// vault asks for entries and returns them with the keys that had no room.
func (p *testPeer) vault(keys ...string) (entries []map[string]any, more []any) {
	p.t.Helper()
	f := p.ask("vault_get_result", map[string]any{"type": "vault_get", "keys": append([]string{}, keys...)})
	for _, e := range f["entries"].([]any) {
		entries = append(entries, e.(map[string]any))
	}
	more, _ = f["more"].([]any)
	return entries, more
}

// vaultKeys returns the keys that vault_list shows.
func (p *testPeer) vaultKeys() string {
	p.t.Helper()
	var keys []string
	for _, e := range p.ask("vault_list_result", map[string]any{"type": "vault_list"})["entries"].([]any) {
		keys = append(keys, e.(map[string]any)["key"].(string))
	}
	return strings.Join(keys, " ")
}

func vaultDelete(key string) map[string]any {
	return map[string]any{"type": "vault_delete", "key": key}
}

func TestAVaultEntryComesBackAsItWasSealed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	p := ann.old("a")
	set := ann.sealed("db", "hunter2", "description", "the database")
	if ack := p.ask("vault_ack", set); ack["key"] != "db" || ack["action"] != "stored" {
		t.Errorf("ack %v", ack)
	}
	p.ask("vault_ack", ann.sealed("cert", "PEM", "entry_type", "file", "mount_path", "tls/cert.pem"))
	b.restart()
	p = ann.old("a")
	list := p.ask("vault_list_result", map[string]any{"type": "vault_list"})["entries"].([]any)
	if p.vaultKeys() != "cert db" || list[1].(map[string]any)["description"] != "the database" || list[0].(map[string]any)["mount_path"] != "tls/cert.pem" ||
		list[0].(map[string]any)["entry_type"] != "file" || list[1].(map[string]any)["size"] != 7.0 || list[0].(map[string]any)["updated_at"] == nil {
		t.Errorf("listed as %v", list)
	}
	got, more := p.vault("db", "none", "db", "cert")
	if len(got) != 2 || len(more) > 0 || got[0]["key"] != "db" || got[1]["mount_path"] != "tls/cert.pem" {
		t.Fatalf("got %v, %v", got, more)
	}
	for _, field := range []string{"ciphertext", "nonce", "sealed_key", "entry_type"} {
		if got[0][field] != set[field] {
			t.Errorf("%s is %v", field, got[0][field])
		}
	}
	if got, _ := p.vault(); len(got) != 0 {
		t.Errorf("no keys give %v", got)
	}
	set = ann.sealed("db", "hunter3", "entry_type", nil)
	p.ask("vault_ack", set)
	if got, _ := p.vault("db"); got[0]["ciphertext"] != set["ciphertext"] || got[0]["entry_type"] != "env" {
		t.Errorf("replaced by %v", got)
	}
	if ack := p.ask("vault_ack", vaultDelete("db")); ack["action"] != "deleted" || ack["key"] != "db" {
		t.Errorf("ack %v", ack)
	}
	if ack := p.ask("vault_ack", vaultDelete("db")); ack["action"] != "not_found" {
		t.Errorf("ack %v", ack)
	}
	if p.vaultKeys() != "cert" {
		t.Errorf("left are %s", p.vaultKeys())
	}
	var told []string
	for _, e := range p.ask("audit_result", map[string]any{"type": "audit_query", "eventType": "vault_changed"})["entries"].([]any) {
		payload := e.(map[string]any)["payload"].(map[string]any)
		told = append(told, fmt.Sprintf("%v %v %d", payload["key"], payload["action"], len(payload)))
	}
	if strings.Join(told, ", ") != "db deleted 3, db stored 3, cert stored 3, db stored 3" {
		t.Errorf("the audit log tells of %v", told)
	}
}

// One row of docs/SECURITY.md for each.
func TestWhoMayDoWhatWithTheVault(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	peers := map[string]*testPeer{
		"its member": ann.modern("a"), "another session of it": ann.old("a2"), "its command": ann.command(false),
		"an admin": b.joinAs("admin", "admin").modern("d"), "another member": b.join("bob").modern("b"), "an older client": b.join("old").old("o"),
		"another's command": b.join("cat").command(false),
	}
	for who, p := range peers {
		t.Run(who, func(t *testing.T) {
			peers["its member"].ask("vault_ack", ann.sealed("k", "v"))
			own := strings.Contains(who, "its") || strings.Contains(who, "of it")
			if got, _ := p.vault("k"); len(got) == 1 != own {
				t.Errorf("reads %v", got)
			}
			if keys := p.vaultKeys(); keys == "k" != own {
				t.Errorf("lists %q", keys)
			}
			if ack := p.ask("vault_ack", vaultDelete("k")); ack["action"] == "deleted" != own {
				t.Errorf("deletes: %v", ack)
			}
			if !own {
				p.ask("vault_ack", ann.sealed("k", "other"))
				p.ask("vault_ack", vaultDelete("k"))
			}
			if left := peers["its member"].vaultKeys(); left == "k" == own {
				t.Errorf("left is %q", left)
			}
		})
	}
}

func TestVaultEntriesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	p := ann.modern("a")
	for name, c := range map[string]struct {
		frame map[string]any
		code  wire.Code
	}{
		"no key":               {ann.sealed("", "v"), wire.BadRequest},
		"a key with a path":    {ann.sealed("a:file:b", "v"), wire.BadRequest},
		"a long key":           {ann.sealed(strings.Repeat("k", wire.MaxVaultKey+1), "v"), wire.BadRequest},
		"another type":         {ann.sealed("k", "v", "entry_type", "blob"), wire.BadRequest},
		"plain text":           {ann.sealed("k", "v", "ciphertext", "hunter2"), wire.BadRequest},
		"nothing":              {ann.sealed("k", "v", "ciphertext", ""), wire.BadRequest},
		"no nonce":             {ann.sealed("k", "v", "nonce", ""), wire.BadRequest},
		"a key that is short":  {ann.sealed("k", "v", "sealed_key", "AAAA"), wire.BadRequest},
		"a large value":        {ann.sealed("k", strings.Repeat("v", wire.MaxVaultValue+1)), wire.TooLarge},
		"a long description":   {ann.sealed("k", "v", "description", strings.Repeat("d", wire.MaxVaultText+1)), wire.TooLarge},
		"a long path":          {ann.sealed("k", "v", "mount_path", strings.Repeat("d", wire.MaxVaultText+1)), wire.TooLarge},
		"very many keys asked": {map[string]any{"type": "vault_get", "keys": make([]string, wire.MaxVaultEntries+1)}, wire.TooLarge},
	} {
		f := p.askAny(c.frame)
		if f["code"] != string(c.code) || strings.Contains(fmt.Sprint(f["message"]), "hunter2") {
			t.Errorf("%s: %v", name, f)
		}
	}
	if keys := p.vaultKeys(); keys != "" {
		t.Errorf("kept %q", keys)
	}
}

func TestTheVaultOfAMemberIsBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	p := ann.modern("a")
	var rows []*store.VaultEntry
	for i := range wire.MaxVaultEntries {
		rows = append(rows, must(vaultRow(ann.vaultSet(fmt.Sprintf("k%03d", i), "v"))))
	}
	b.keep(ann.id, rows)
	if f := p.askAny(ann.sealed("more", "v")); f["code"] != "limit" {
		t.Errorf("%v", f)
	}
	most := strings.Repeat("<", wire.MaxVaultText)
	if size := wire.MaxVaultEntries * jsonSize(wire.VaultEntry{Key: most[:wire.MaxVaultKey], MountPath: most, Description: most}); size > wire.MaxFrameBytes-1000 {
		t.Errorf("a list may have %d bytes, which no frame has", size)
	}
	p.ask("vault_ack", ann.sealed("k000", "again"))
	bob := b.join("bob")
	q := bob.modern("b")
	large := strings.Repeat("v", wire.MaxVaultValue)
	var keys []string
	rows = nil
	for i := range wire.MaxVaultBytes / wire.MaxVaultValue {
		keys = append(keys, fmt.Sprintf("l%02d", i))
		rows = append(rows, must(vaultRow(bob.vaultSet(keys[i], large))))
	}
	b.keep(bob.id, rows)
	if f := q.askAny(bob.sealed("more", "v")); f["code"] != "limit" {
		t.Errorf("%v", f)
	}
	q.ask("vault_ack", bob.sealed("l00", large))
	// A frame has room for one of these: the others are asked for again.
	for n := len(keys); n > 0; n-- {
		got, more := q.vault(keys[len(keys)-n:]...)
		if len(got) != 1 || len(more) != n-1 || got[0]["key"] != keys[len(keys)-n] {
			t.Fatalf("%d entries and %d more of %d", len(got), len(more), n)
		}
	}
}

func TestAMembersVaultEndsWithItsMembership(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	admin := b.joinAs("admin", "admin")
	ann, bob := b.join("ann"), b.join("bob")
	ann.modern("a").ask("vault_ack", ann.sealed("k", "v"))
	p := bob.modern("b")
	p.ask("vault_ack", bob.sealed("k", "v"))
	if status, res := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+ann.id, admin.key, nil); status != 200 {
		t.Fatal(status, res)
	}
	if n := b.vaultRows(ann.id); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	if p.vaultKeys() != "k" {
		t.Errorf("bob has %q", p.vaultKeys())
	}
}

// What the disk refuses has a code of the vault's own, which older clients know.
func TestAVaultThatCannotBeStoredIsSaid(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	p := ann.modern("a")
	if err := b.srv.meshByID(b.mesh).db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, frame := range []map[string]any{ann.sealed("k", "v"), vaultDelete("k"), {"type": "vault_list"}, {"type": "vault_get", "keys": []string{"k"}}} {
		if f := p.askAny(frame); f["code"] != "vault_error" {
			t.Errorf("%v: %v", frame["type"], f)
		}
	}
}

// keep stores entries of a member.
func (b *testBroker) keep(memberID string, rows []*store.VaultEntry) {
	b.t.Helper()
	err := b.srv.meshByID(b.mesh).db.Write(b.t.Context(), func(tx *store.Tx) error {
		for _, e := range rows {
			if err := tx.PutVault(memberID, e, wire.MaxVaultEntries, wire.MaxVaultBytes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// vaultRows counts what the store keeps for a member.
func (b *testBroker) vaultRows(memberID string) (n int) {
	b.t.Helper()
	err := b.srv.meshByID(b.mesh).db.Read(b.t.Context(), func(rx *store.Rx) error {
		rows, err := rx.Vault(memberID)
		n = len(rows)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}
