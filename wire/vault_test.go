package wire

import (
	"strings"
	"testing"
)

func TestReferencesToTheVault(t *testing.T) {
	for value, want := range map[string]VaultRef{
		"$vault:db":              {Key: "db"},
		"$vault:db:file":         {Key: "db", File: true},
		"$vault:db:file:/a/b":    {Key: "db", File: true, Path: "/a/b"},
		"$vault:db:file:a:file:": {Key: "db", File: true, Path: "a:file:"},
		"$vault:a:b":             {Key: "a:b"},
		"$vault:":                {},
	} {
		if got, ok := ParseVaultRef(value); !ok || got != want {
			t.Errorf("%q: %+v, %v", value, got, ok)
		}
	}
	for _, value := range []string{"", "db", "$vault", "x$vault:db", "$VAULT:db"} {
		if _, ok := ParseVaultRef(value); ok {
			t.Errorf("%q is taken for a reference", value)
		}
	}
	for key, want := range map[string]bool{
		"a": true, "a:b": true, "db password": true, "file": true, ":filed": true, strings.Repeat("ß", MaxVaultKey): true,
		"": false, strings.Repeat("a", MaxVaultKey+1): false, "a\n": false, "a:file": false, "a:file:b": false,
	} {
		if ValidVaultKey(key) != want {
			t.Errorf("key %q: valid %v", key, !want)
		}
		if ref, _ := ParseVaultRef("$vault:" + key); want && ref != (VaultRef{Key: key}) {
			t.Errorf("key %q is read as %+v", key, ref)
		}
		if ref, _ := ParseVaultRef("$vault:" + key + ":file:p"); want && ref != (VaultRef{Key: key, File: true, Path: "p"}) {
			t.Errorf("file of key %q is read as %+v", key, ref)
		}
	}
}

func TestFilesOfTheVaultTravel(t *testing.T) {
	for _, path := range []string{"a", "/etc/key.pem", "c:/x", ""} {
		got, content, ok, err := ParseVaultFileValue(VaultFileValue(path, []byte{0, 1, 255}))
		if got != path || string(content) != "\x00\x01\xff" || !ok || err != nil {
			t.Errorf("%q: %q, %v, %v, %v", path, got, content, ok, err)
		}
	}
	if v := VaultFileValue("p", []byte("x")); v != "__vault_file__:p:eA==" {
		t.Errorf("it travels as %s", v)
	}
	if _, _, ok, err := ParseVaultFileValue("p:eA=="); ok || err != nil {
		t.Error("any text is taken for a file")
	}
	for _, value := range []string{"__vault_file__:eA==", "__vault_file__:p:secret"} {
		if _, _, ok, err := ParseVaultFileValue(value); !ok || err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", value, ok, err)
		}
	}
}
