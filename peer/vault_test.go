package peer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"claudemesh/wire"
)

// A testVault is a broker's vault of one member that gives one entry an answer.
type testVault struct {
	mu      sync.Mutex
	entries map[string]wire.VaultSealed
	frames  bytes.Buffer // all that came
	gets    int
}

func (v *testVault) answer(k *brokerConn, f received) wire.Frame {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frames.Write(f.data)
	switch f.Type {
	case "vault_set":
		var e wire.VaultSealed
		k.decode(f, &e)
		v.entries[e.Key] = e
		return wire.VaultAck{Key: e.Key, Action: wire.VaultStored}
	case "vault_get":
		v.gets++
		var req wire.VaultGet
		k.decode(f, &req)
		for i, key := range req.Keys {
			if e, ok := v.entries[key]; ok {
				return wire.VaultGetResult{Entries: []wire.VaultSealed{e}, More: req.Keys[i+1:]}
			}
		}
		return wire.VaultGetResult{Entries: []wire.VaultSealed{}}
	}
	return nil
}

func newTestVault(t *testing.T) (*testVault, *Client) {
	v := &testVault{entries: make(map[string]wire.VaultSealed)}
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.serve(func(f received) wire.Frame { return v.answer(k, f) })
	})
	return v, b.open()
}

func TestReferencesAreResolvedAtDeployment(t *testing.T) {
	v, c := newTestVault(t)
	for key, value := range map[string]string{"db": "hunter2", "cert": "PEM\x00", "own": "at home"} {
		e := wire.VaultEntry{Key: key, EntryType: wire.VaultEnv}
		if key != "db" {
			e.EntryType, e.MountPath = wire.VaultFile, map[string]string{"own": "etc/own"}[key]
		}
		if err := c.SetVault(t.Context(), e, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if text := v.frames.String(); strings.Contains(text, "hunter2") || strings.Contains(text, "aHVudGVyMg") {
		t.Errorf("the broker saw %s", text)
	}
	env := map[string]string{"PLAIN": "x$vault:db", "A": "$vault:db", "B": "$vault:db", "C": "$vault:cert:file:tls/cert.pem", "D": "$vault:own:file", "E": "$vault:own"}
	before := maps.Clone(env)
	got, keys, err := c.ResolveVault(t.Context(), env)
	want := map[string]string{"PLAIN": "x$vault:db", "A": "hunter2", "B": "hunter2", "C": "__vault_file__:tls/cert.pem:UEVNAA==",
		"D": "__vault_file__:etc/own:YXQgaG9tZQ==", "E": "at home"}
	if err != nil || !maps.Equal(got, want) || !slices.Equal(keys, []string{"cert", "db", "own"}) || !maps.Equal(env, before) {
		t.Errorf("%v, %v, %v; the argument is %v", got, keys, err, env)
	}
	if v.gets != 3 {
		t.Errorf("asked %d times for what needs 3 answers", v.gets)
	}
	got, keys, err = c.ResolveVault(t.Context(), map[string]string{"X": "y"})
	if err != nil || got["X"] != "y" || len(keys) != 0 || v.gets != 3 {
		t.Errorf("without references: %v, %v, %v, %d requests", got, keys, err, v.gets)
	}
}

func TestReferencesThatCannotBeResolved(t *testing.T) {
	v, c := newTestVault(t)
	_, other := newTestVault(t)
	set := func(key, value string) {
		t.Helper()
		if err := c.SetVault(t.Context(), wire.VaultEntry{Key: key, EntryType: wire.VaultFile}, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"ok", "bytes", "altered", "damaged", "short"} {
		set(key, "hunter2\x00")
	}
	c.member, other.member = other.member, c.member
	set("foreign", "hunter2")
	c.member = other.member
	change := func(key string, fn func(e *wire.VaultSealed)) {
		e := v.entries[key]
		fn(&e)
		v.entries[key] = e
	}
	change("altered", func(e *wire.VaultSealed) { e.Nonce = v.entries["ok"].Nonce })
	change("damaged", func(e *wire.VaultSealed) { e.Ciphertext = "hunter2!" })
	change("short", func(e *wire.VaultSealed) { e.Nonce = "AAAA" })
	for value, says := range map[string]string{
		"$vault:none":           "claudemesh vault set none",
		"$vault:foreign":        "not sealed to your key",
		"$vault:altered":        "set it again with `claudemesh vault set altered`",
		"$vault:damaged":        "it is damaged",
		"$vault:short":          "it is damaged",
		"$vault:bytes":          "$vault:bytes:file:<path>",
		"$vault:ok:file":        "has no path",
		"$vault:ok:file:":       "has no path",
		"$vault:ok:file:a/../b": "without ..",
		"$vault:ok:file:/":      "must name a file",
		"$vault:":               "refers to no key",
	} {
		got, keys, err := c.ResolveVault(t.Context(), map[string]string{"NAME": value, "GOOD": "$vault:ok:file:x"})
		if err == nil || got != nil || keys != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", value, got, err)
			continue
		}
		if key := strings.Split(value, ":")[1]; !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestValuesAreCheckedBeforeTheyAreSent(t *testing.T) {
	v, c := newTestVault(t)
	for name, c2 := range map[string]struct {
		entry wire.VaultEntry
		value string
		code  wire.Code
	}{
		"a large one":    {wire.VaultEntry{Key: "k"}, strings.Repeat("x", wire.MaxVaultValue+1), wire.TooLarge},
		"none":           {wire.VaultEntry{Key: "k"}, "", wire.BadRequest},
		"bytes as text":  {wire.VaultEntry{Key: "k"}, "hunter2\xff", wire.BadRequest},
		"no key":         {wire.VaultEntry{}, "hunter2", wire.BadRequest},
		"a path out":     {wire.VaultEntry{Key: "k", EntryType: wire.VaultFile, MountPath: "../x"}, "hunter2", wire.BadRequest},
		"a path to none": {wire.VaultEntry{Key: "k", EntryType: wire.VaultFile, MountPath: "."}, "hunter2", wire.BadRequest},
	} {
		err := c.SetVault(t.Context(), c2.entry, []byte(c2.value))
		if !errors.Is(err, &wire.Error{Code: c2.code}) || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v.frames.Len() > 0 {
		t.Errorf("sent %s", &v.frames)
	}
	if err := c.SetVault(t.Context(), wire.VaultEntry{Key: "k"}, bytes.Repeat([]byte("x"), wire.MaxVaultValue)); err != nil {
		t.Error("the largest:", err)
	}
}
