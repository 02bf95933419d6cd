package peer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"claudemesh/seal"
	"claudemesh/wire"
)

// What bounds a request to the vault, and a rotation, where the caller's context
// does not.
const (
	vaultTimeout  = 10 * time.Second
	rotateTimeout = time.Minute // it is a commit in each mesh of the broker
)

// SetVault seals a value to the member's key and keeps it in the vault of the
// mesh, in the place of what is there under the key. e says what it is; the
// rest of e is not used. The limits are checked before anything is sent; no
// error shows anything of the value.
func (c *Client) SetVault(ctx context.Context, e wire.VaultEntry, value []byte) error {
	if err := checkVault(&e, value); err != nil {
		return err
	}
	key := seal.NewSecretKey()
	nonce, ciphertext := seal.SealSecret(key, value)
	sealed, err := seal.SealAnonymous(c.member.Public(), key[:])
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString
	ctx, cancel := vaultContext(ctx)
	defer cancel()
	_, err = Call(ctx, c, wire.VaultSet{
		Key: e.Key, Ciphertext: text(ciphertext), Nonce: text(nonce[:]), SealedKey: text(sealed),
		EntryType: e.EntryType, MountPath: e.MountPath, Description: e.Description,
	})
	return err
}

func checkVault(e *wire.VaultEntry, value []byte) error {
	switch {
	case !wire.ValidVaultKey(e.Key):
		return wire.Errorf(wire.BadRequest, "the key of a vault entry must have 1 to %d characters without control characters, and no :file before its end or a colon", wire.MaxVaultKey)
	case len(value) == 0:
		return wire.Errorf(wire.BadRequest, "the value of %s is empty: nothing was kept", e.Key)
	case len(value) > wire.MaxVaultValue:
		return wire.Errorf(wire.TooLarge, "the value of %s has %d bytes, and a vault entry at most %d: nothing was kept", e.Key, len(value), wire.MaxVaultValue)
	case e.EntryType != wire.VaultFile && !isText(value):
		return wire.Errorf(wire.BadRequest, "the value of %s is not text, which a variable must be: keep it as a file", e.Key)
	case e.MountPath != "":
		return checkMount(e.Key, e.MountPath)
	}
	return nil
}

// isText reports whether a variable of an environment can have that value.
func isText(value []byte) bool {
	return utf8.Valid(value) && !slices.Contains(value, 0)
}

// checkMount checks where in a service a file is to go: below a directory of
// the service's own, whatever it begins with.
func checkMount(key, path string) error {
	switch {
	case path == "":
		return fmt.Errorf("the vault entry %s has no path for its file: refer to it as $vault:%s:file:<path>", key, key)
	case len(path) > wire.MaxPath, wire.HasControl(path), strings.Contains(path, `\`), slices.Contains(strings.Split(path, "/"), ".."), strings.Trim(path, "/.") == "":
		return wire.Errorf(wire.BadRequest, "the path for the file of %s must name a file, without .., backslashes and control characters, in at most %d bytes", key, wire.MaxPath)
	}
	return nil
}

func vaultContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, vaultTimeout)
}

// Vault lists what the member keeps in the vault, by key and without the values.
func (c *Client) Vault(ctx context.Context) ([]wire.VaultEntry, error) {
	ctx, cancel := vaultContext(ctx)
	defer cancel()
	res, err := Call(ctx, c, wire.VaultList{})
	return res.Entries, err
}

// DeleteVault deletes an entry of the member and reports whether there was one.
func (c *Client) DeleteVault(ctx context.Context, key string) (bool, error) {
	ctx, cancel := vaultContext(ctx)
	defer cancel()
	res, err := Call(ctx, c, wire.VaultDelete{Key: key})
	return res.Action == wire.VaultDeleted, err
}

// RotateVault has the broker seal what it keeps under a new key; see
// wire.VaultRotate.
func (c *Client) RotateVault(ctx context.Context) (wire.VaultRotated, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rotateTimeout)
		defer cancel()
	}
	return Call(ctx, c, wire.VaultRotate{})
}

// VaultValue decrypts an entry of the member.
func (c *Client) VaultValue(ctx context.Context, key string) ([]byte, error) {
	sealed, err := c.sealedVault(ctx, []string{key})
	if err != nil {
		return nil, err
	}
	e, ok := sealed[key]
	if !ok {
		return nil, wire.Errorf(wire.NotFound, "your vault in %s has no key %q: `claudemesh vault list` shows those it has", c.opts.Mesh.Slug, wire.Shorten(key, 60))
	}
	return c.openVault(&e)
}

// ResolveVault returns a copy of the environment of a service in which the
// vault's values have taken the places of the references to them: the text of
// $vault:key, and wire.VaultFileValue for a file. keys are the entries that
// it took. What it returns holds secrets: it goes into the frame that deploys
// and nowhere else. It fails as a whole, with an error that names the key and
// shows no value.
func (c *Client) ResolveVault(ctx context.Context, env map[string]string) (resolved map[string]string, keys []string, err error) {
	refs := make(map[string]wire.VaultRef)
	wanted := make(map[string]bool)
	for name, value := range env {
		ref, ok := wire.ParseVaultRef(value)
		if !ok {
			continue
		}
		if !wire.ValidVaultKey(ref.Key) {
			return nil, nil, fmt.Errorf("%s refers to no key of the vault: write $vault:<key> or $vault:<key>:file:<path>", name)
		}
		refs[name], wanted[ref.Key] = ref, true
	}
	resolved = maps.Clone(env)
	if len(refs) == 0 {
		return resolved, nil, nil
	}
	keys = slices.Sorted(maps.Keys(wanted))
	sealed, err := c.sealedVault(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if resolved[name], err = c.resolve(name, refs[name], sealed); err != nil {
			return nil, nil, err
		}
	}
	return resolved, keys, nil
}

// sealedVault fetches entries, in as many answers as the broker needs.
func (c *Client) sealedVault(ctx context.Context, keys []string) (map[string]wire.VaultSealed, error) {
	ctx, cancel := vaultContext(ctx)
	defer cancel()
	all := make(map[string]wire.VaultSealed)
	for len(keys) > 0 {
		res, err := Call(ctx, c, wire.VaultGet{Keys: keys})
		if err != nil {
			return nil, err
		}
		for _, e := range res.Entries {
			all[e.Key] = e
		}
		if len(res.More) >= len(keys) {
			return nil, errors.New("the broker does not give what is in the vault, only more keys to ask for")
		}
		keys = res.More
	}
	return all, nil
}

// resolve returns the value of a variable that refers to the vault.
func (c *Client) resolve(name string, ref wire.VaultRef, sealed map[string]wire.VaultSealed) (string, error) {
	e, ok := sealed[ref.Key]
	if !ok {
		return "", wire.Errorf(wire.NotFound, "%s refers to the vault entry %s, which you do not have in %s: set it with `claudemesh vault set %s`, or look at `claudemesh vault list`",
			name, ref.Key, c.opts.Mesh.Slug, ref.Key)
	}
	value, err := c.openVault(&e)
	switch {
	case err != nil:
		return "", err
	case !ref.File && !isText(value):
		return "", fmt.Errorf("%s refers to the vault entry %s, which is no text: refer to it as $vault:%s:file:<path>", name, ref.Key, ref.Key)
	case !ref.File:
		return string(value), nil
	}
	path := ref.Path
	if path == "" {
		path = e.MountPath
	}
	if err := checkMount(ref.Key, path); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return wire.VaultFileValue(path, value), nil
}

// openVault decrypts an entry.
func (c *Client) openVault(e *wire.VaultSealed) ([]byte, error) {
	fail := func(why string) error {
		return fmt.Errorf("the vault entry %s cannot be decrypted (%s): set it again with `claudemesh vault set %s`", e.Key, why, e.Key)
	}
	var parts [3][]byte
	for i, text := range []string{e.SealedKey, e.Nonce, e.Ciphertext} {
		var err error
		if parts[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fail("it is damaged")
		}
	}
	key, err := seal.OpenAnonymous(c.member, parts[0])
	if err != nil || len(key) != 32 {
		return nil, fail("it was not sealed to your key in this mesh")
	}
	if len(parts[1]) != seal.NonceSize {
		return nil, fail("it is damaged")
	}
	value, err := seal.OpenSecret((*[32]byte)(key), [seal.NonceSize]byte(parts[1]), parts[2])
	if err != nil {
		return nil, fail("it was altered")
	}
	return value, nil
}
