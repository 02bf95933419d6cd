package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A FileShare says how a file is shared, and with whom.
type FileShare struct {
	// Name is what it is called; the file's own name if empty.
	Name string
	Tags []string
	// To are targets as Resolve takes them. Peers and members are sealed to; one
	// group, or *, restricts who may fetch it, and the broker can read it. Without
	// any it is for everyone.
	To []string
	// Ephemeral has the file expire a day later.
	Ephemeral bool
	// Progress is told how many bytes of how many are on their way. It may be nil.
	Progress func(done, total int64)
}

// A SharedFile is a file that the broker has on disk.
type SharedFile struct {
	ID        string
	Name      string
	Size      int64 // bytes of the file, not of what it was sealed to
	Encrypted bool
	// Readers are whom it was shared with; nobody for everyone.
	Readers []Resolved
	// OldForm says that it was sealed in one box, for a client of an older version.
	OldForm bool
}

// ShareFile uploads what is in f, from its beginning, in constant memory, and
// returns when the broker has it on disk and both ends have computed the same
// SHA-256. A refusal is a *wire.Error, and nothing is kept then.
func (c *Client) ShareFile(ctx context.Context, f *os.File, s FileShare) (SharedFile, error) {
	info, err := f.Stat()
	if err != nil {
		return SharedFile{}, err
	}
	if !info.Mode().IsRegular() {
		return SharedFile{}, fmt.Errorf("%s is not a regular file: only such can be shared", f.Name())
	}
	if s.Name == "" {
		s.Name = filepath.Base(f.Name())
	}
	out := SharedFile{Name: wire.CleanFileName(s.Name), Size: info.Size()}
	plan, err := c.planShare(ctx, &s)
	if err != nil {
		return out, err
	}
	up := &fileUpload{
		header: plan.header(c.opts.Mesh, out.Name, &s), size: info.Size(),
		source: &exactly{from: io.NewSectionReader(f, 0, info.Size()), left: info.Size(), name: f.Name()},
	}
	if err := plan.seal(up); err != nil {
		return out, err
	}
	up.body = newSummed(up.source, up.size, s.Progress)
	if out.ID, err = c.upload(ctx, up); err != nil {
		return out, err
	}
	out.Encrypted, out.Readers, out.OldForm = plan.key != nil, plan.readers, plan.old
	for _, k := range plan.later() {
		if _, err := Call(ctx, c, wire.GrantFileAccess{FileID: out.ID, PeerPubkey: k.PeerPubkey, SealedKey: k.SealedKey}); err != nil {
			return out, fmt.Errorf("%s was shared as %s, but not with all: %w", out.Name, out.ID, err)
		}
	}
	return out, nil
}

// A sharePlan is for whom a file is and, if it is sealed, its key.
type sharePlan struct {
	readers []Resolved
	target  string    // "" unless the broker decides who may fetch it
	key     *[32]byte // nil unless it is sealed
	keys    []wire.FileKey
	old     bool // some reader's client knows only the form of a single box
}

func (c *Client) planShare(ctx context.Context, s *FileShare) (*sharePlan, error) {
	p := new(sharePlan)
	for _, r := range c.ResolveAll(ctx, s.To) {
		switch {
		case r.Err != nil:
			return nil, r.Err
		case r.CoveredBy != "":
			continue
		case r.Target.Multicast() && len(s.To) > 1:
			return nil, wire.Errorf(wire.BadRequest, "a file is for everyone, for one group, or for peers that are named: %s cannot be among several", r.Target)
		case r.Target.Multicast():
			p.target = r.Target.String()
		}
		p.readers = append(p.readers, r)
	}
	if len(p.readers) == 0 || p.target != "" {
		return p, nil
	}
	p.key = seal.NewSecretKey()
	to := []string{c.opts.Mesh.Pubkey}
	for _, r := range p.readers {
		keys, old, err := c.sealTo(ctx, r.Target.Name)
		if err != nil {
			return nil, err
		}
		to, p.old = append(to, keys...), p.old || old
	}
	seen := make(map[string]bool)
	for _, key := range to {
		if seen[key] {
			continue
		}
		seen[key] = true
		sealed, err := sealKey(p.key, key)
		if err != nil {
			return nil, err
		}
		p.keys = append(p.keys, sealed)
	}
	return p, nil
}

// sealTo returns the keys that a file for the peer or member with that key is
// sealed to: the member's, which outlives its sessions, and beside it the
// addresses of sessions whose clients look for no other. old says that there
// are such.
func (c *Client) sealTo(ctx context.Context, key string) (keys []string, old bool, err error) {
	list, err := c.Peers(ctx)
	if err != nil {
		return nil, false, err
	}
	member := key
	for _, p := range list.Peers {
		if p.Pubkey == key && p.MemberPubkey != "" {
			member = p.MemberPubkey
		}
	}
	keys = []string{member}
	for _, p := range list.Peers {
		if p.Proto < wire.Proto && (p.MemberPubkey == member || p.Pubkey == key) {
			keys, old = append(keys, p.Pubkey), true
		}
	}
	return keys, old, nil
}

func sealKey(key *[32]byte, to string) (wire.FileKey, error) {
	public, err := seal.ParsePublicKey(to)
	if err != nil {
		return wire.FileKey{}, err
	}
	sealed, err := seal.SealAnonymous(public, key[:])
	return wire.FileKey{PeerPubkey: to, SealedKey: base64.StdEncoding.EncodeToString(sealed)}, err
}

// header describes the file to the broker.
func (p *sharePlan) header(m Mesh, name string, s *FileShare) http.Header {
	h := make(http.Header)
	h.Set(wire.HeaderMesh, m.MeshID)
	h.Set(wire.HeaderMember, m.MemberID)
	h.Set(wire.HeaderFileName, url.PathEscape(name))
	h.Set("Content-Type", "application/octet-stream")
	if len(s.Tags) > 0 {
		h.Set(wire.HeaderTags, asciiJSON(s.Tags))
	}
	h.Set(wire.HeaderPersist, strconv.FormatBool(!s.Ephemeral))
	if p.target != "" {
		h.Set(wire.HeaderTarget, p.target)
	}
	if p.key != nil {
		h.Set(wire.HeaderEncrypted, "true")
		h.Set(wire.HeaderOwner, m.Pubkey)
		h.Set(wire.HeaderFileKeys, asciiJSON(p.keys[:min(len(p.keys), wire.MaxFileKeys)]))
	}
	return h
}

// later are the keys that an upload has no room for.
func (p *sharePlan) later() []wire.FileKey { return p.keys[min(len(p.keys), wire.MaxFileKeys):] }

// seal makes an upload one of the sealed content.
func (p *sharePlan) seal(up *fileUpload) error {
	switch {
	case p.key == nil:
		return nil
	case !p.old:
		plain := up.source
		sealing, err := newSealing(plain, p.key)
		up.source, up.size = sealing, seal.StreamSize(up.size)
		return err
	case up.size > wire.MaxOldFileBytes-seal.NonceSize-seal.SecretOverhead:
		return wire.Errorf(wire.TooLarge, "a client of an older version is among the readers, which reads encrypted files of at most %d MiB: share it without them, or with a group, which is not encrypted", wire.MaxOldFileBytes>>20)
	}
	plain, err := io.ReadAll(up.source)
	if err != nil {
		return err
	}
	nonce, sealed := seal.SealSecret(p.key, plain)
	up.source = io.MultiReader(bytes.NewReader(nonce[:]), bytes.NewReader(sealed))
	up.size = int64(len(nonce) + len(sealed))
	return nil
}

// asciiJSON encodes v for a header, which holds ASCII only.
func asciiJSON(v any) string {
	p, err := json.Marshal(v)
	if err != nil {
		return "[]" // texts always encode
	}
	var b strings.Builder
	for _, r := range string(p) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// upload sends a file and returns its id.
func (c *Client) upload(ctx context.Context, up *fileUpload) (string, error) {
	api, err := c.opts.Mesh.API()
	if err != nil {
		return "", err
	}
	token, err := Call(ctx, c, wire.UploadToken{})
	switch {
	case err == nil:
		up.header.Set("Authorization", "Bearer "+token.Token)
	case !errors.Is(err, &wire.Error{Code: wire.UnknownType}): // a broker of an older version takes what comes
		return "", err
	}
	res, err := api.upload(ctx, up)
	if err != nil {
		return "", err
	}
	if sent := hex.EncodeToString(up.body.sum.Sum(nil)); res.SHA256 != "" && res.SHA256 != sent {
		_, err := Call(ctx, c, wire.DeleteFile{FileID: res.FileID})
		return "", errors.Join(errors.New("what arrived at the broker is not what was sent; it was deleted: share the file again"), err)
	}
	return res.FileID, nil
}
