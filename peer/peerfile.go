package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"claudemesh/wire"
)

// relayTimeout leaves the broker time to say that a peer did not answer.
const relayTimeout = wire.RelayDeadline + 5*time.Second

// ErrPeerRefused is the root of what a peer that was asked for its files gave
// as a reason instead. The text after it is the peer's.
var ErrPeerRefused = errors.New("the peer answers")

// PeerFile asks the peer with that key, a session's or a member's, for a file
// of the directories it shares: at most wire.MaxPeerFile bytes. It waits as
// long as the broker does, unless ctx ends first.
func (c *Client) PeerFile(ctx context.Context, key, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	res, err := Call(ctx, c, wire.PeerFileRequest{TargetPubkey: key, FilePath: path})
	switch {
	case err != nil:
		return nil, err
	case res.Error != "":
		return nil, refusedBy(res.Error)
	case res.Content == nil:
		return nil, errors.New("the peer's answer has neither a file nor a reason; its version may be too old")
	}
	data, err := base64.StdEncoding.DecodeString(*res.Content)
	if err != nil || len(data) > wire.MaxPeerFile {
		return nil, errors.New("the peer's answer is not a file of at most 1 MiB in base64")
	}
	return data, nil
}

// PeerFiles asks the peer with that key what is in a directory it shares; see
// wire.PeerDirRequest for dir and pattern.
func (c *Client) PeerFiles(ctx context.Context, key, dir, pattern string) (wire.PeerDirResponseForward, error) {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	res, err := Call(ctx, c, wire.PeerDirRequest{TargetPubkey: key, DirPath: dir, Pattern: pattern})
	if err == nil && res.Error != "" {
		err = refusedBy(res.Error)
	}
	if n := len(res.Entries); n > wire.MaxPeerEntries {
		res.Entries, res.More = res.Entries[:wire.MaxPeerEntries], true
	}
	return res, err
}

func refusedBy(text string) error {
	return fmt.Errorf("%w: %s", ErrPeerRefused, wire.Shorten(text, 300))
}

// FileHere returns the path under which a file that a peer has sent can be
// read on this machine, empty if that is not known: the peer says it is on this
// host, and a file with that content stands where its directory, or one that
// this user shares, has it.
func (c *Client) FileHere(ctx context.Context, key, path string, content []byte) string {
	return c.here(ctx, key, path, func(full string) bool {
		info, err := os.Stat(full)
		if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(content)) {
			return false
		}
		have, err := os.ReadFile(full)
		return err == nil && bytes.Equal(have, content)
	})
}

// DirHere is FileHere for a directory: every entry that the peer has listed,
// of the first ones, is there.
func (c *Client) DirHere(ctx context.Context, key, dir string, entries []string) string {
	return c.here(ctx, key, dir, func(full string) bool {
		for _, e := range entries[:min(20, len(entries))] {
			if !filepath.IsLocal(filepath.FromSlash(e)) {
				return false
			}
			info, err := os.Stat(filepath.Join(full, filepath.FromSlash(e)))
			if err != nil || info.IsDir() != strings.HasSuffix(e, "/") {
				return false
			}
		}
		return len(entries) > 0
	})
}

func (c *Client) here(ctx context.Context, key, path string, same func(full string) bool) string {
	list, err := c.Peers(ctx)
	rel := filepath.FromSlash(path)
	if err != nil || c.opts.Hostname == "" || path != "" && !filepath.IsLocal(rel) {
		return ""
	}
	for _, p := range list.Peers {
		if p.Pubkey != key && p.MemberPubkey != key || p.Hostname != c.opts.Hostname {
			continue
		}
		for _, dir := range append([]string{p.Cwd}, c.ownShared()...) {
			if full := filepath.Join(dir, rel); filepath.IsAbs(dir) && same(full) {
				return full
			}
		}
	}
	return ""
}

// ownShared are the directories that this user shares, which a session of the
// same user does too.
func (c *Client) ownShared() []string {
	if c.opts.ShareFrom == "" {
		return nil
	}
	conf, err := LoadConfig(c.opts.ShareFrom)
	if err != nil {
		return nil
	}
	dirs, err := conf.Shared(c.opts.Mesh.MeshID)
	if err != nil {
		return nil
	}
	return dirs.Paths
}
