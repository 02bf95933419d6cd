package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"claudemesh/wire"
)

// A Repo is the repository that a directory is in.
type Repo struct {
	// ID names it on every machine: see FindRepo.
	ID     string
	Root   string // absolute path of its working tree
	Prefix string // of the directory below Root, with / at its end, or ""
}

// FindRepo returns the repository of a directory. It is named by the first of
// these that there is, so that all clones of it have one name:
//
//   - what `git config claudemesh.repo` says;
//   - the URL of the remote origin, if it names a host: host and path in lower
//     case, without scheme, user, port and .git;
//   - root:<id>, its first commit, the smallest id if there are several;
//   - path:<hash>, of the host's name and the path, which no other machine shares.
//
// A directory that is in no repository, or without git, is one by its path.
func FindRepo(ctx context.Context, dir string) (Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Repo{}, err
	}
	root, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil || root == "" {
		return Repo{ID: pathID(dir), Root: dir}, ctx.Err()
	}
	prefix, err := git(ctx, dir, "rev-parse", "--show-prefix")
	if err != nil {
		return Repo{}, err
	}
	r := Repo{Root: filepath.FromSlash(root), Prefix: prefix}
	if r.ID, err = git(ctx, dir, "config", "--get", "claudemesh.repo"); err == nil && r.ID != "" {
		if utf8.RuneCountInString(r.ID) > wire.MaxRepo || wire.HasControl(r.ID) {
			return Repo{}, fmt.Errorf("git config claudemesh.repo must have at most %d characters without control characters", wire.MaxRepo)
		}
		return r, nil
	}
	if remote, err := git(ctx, dir, "config", "--get", "remote.origin.url"); err == nil {
		if r.ID = remoteID(remote); r.ID != "" {
			return r, nil
		}
	}
	if first, err := git(ctx, dir, "rev-list", "--max-parents=0", "HEAD"); err == nil && first != "" {
		r.ID = "root:" + slices.Min(strings.Fields(first))
		return r, nil
	}
	r.ID = pathID(r.Root)
	return r, ctx.Err()
}

// git runs git in a directory and returns what it prints, without the line break.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		err = fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(out), "\n"), "\r"), err
}

// remoteID names a repository by its URL, "" for one on this machine.
func remoteID(remote string) string {
	host, name := "", ""
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		host, name = u.Hostname(), u.Path
	} else if before, after, ok := strings.Cut(remote, ":"); ok && !strings.Contains(before, "/") && !strings.HasPrefix(after, "//") && len(before) > 1 {
		host, name = before[strings.LastIndex(before, "@")+1:], after // as ssh writes it
	}
	name = strings.TrimSuffix(strings.Trim(path.Clean("/"+name), "/"), ".git")
	if host == "" || name == "" {
		return ""
	}
	id := strings.ToLower(host + "/" + name)
	if utf8.RuneCountInString(id) > wire.MaxRepo || wire.HasControl(id) {
		return hashID("remote", id)
	}
	return id
}

func pathID(dir string) string {
	host, _ := os.Hostname()
	return hashID("path", host+"\n"+filepath.ToSlash(dir))
}

func hashID(kind, text string) string {
	sum := sha256.Sum256([]byte(text))
	return kind + ":" + hex.EncodeToString(sum[:16])
}

// Patterns makes patterns of the repository of what somebody writes in its
// directory: relative to it, or, after a /, to the root of the repository; an
// absolute path below the root will do as well. The errors are those of
// wire.ParsePattern.
func (r *Repo) Patterns(texts []string) ([]string, error) {
	out := make([]string, len(texts))
	for i, text := range texts {
		full := filepath.ToSlash(text)
		root := filepath.ToSlash(r.Root) + "/"
		switch {
		case full == "":
			// Not the directory: it may be a variable of a script that is not set.
		case strings.HasPrefix(full, root):
			full = full[len(root):]
		case !strings.HasPrefix(full, "/"):
			full = inside(r.Prefix, full)
		}
		p, err := wire.ParsePattern(full)
		if err != nil {
			return nil, err
		}
		out[i] = p.String()
	}
	return out, nil
}

// inside joins a directory and a pattern in it, going up where it says so.
func inside(prefix, text string) string {
	prefix = strings.TrimSuffix(prefix, "/")
	for {
		rest, up := strings.CutPrefix(text, "../")
		switch {
		case text == "..":
			rest, up = "", true
		case strings.HasPrefix(text, "./"):
			text = text[2:]
			continue
		}
		if !up || prefix == "" {
			break
		}
		prefix, text = strings.TrimSuffix(path.Dir(prefix), "."), rest
	}
	if prefix == "" {
		if text == "" {
			return "."
		}
		return text
	}
	return prefix + "/" + text
}

// Reservations returns all reservations that hold in a repository, or, with "",
// in the mesh.
func (c *Client) Reservations(ctx context.Context, repo string) ([]wire.Reservation, error) {
	var all []wire.Reservation
	for after := int64(0); ; {
		page, err := Call(ctx, c, wire.ListReservations{Repo: repo, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Reservations...)
		if page.Next <= after {
			return all, nil
		}
		after = page.Next
	}
}

// Holds reports whether a reservation is the client's own: its session's or,
// of a member without a session, of any of its sessions.
func (c *Client) Holds(r *wire.Reservation) bool {
	member := c.opts.Mesh.Pubkey
	return r.HolderPubkey == c.address || c.address == member && r.HolderMember == member
}
