package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// guardTime bounds a check: a commit does not wait longer for any broker.
const guardTime = 2 * time.Second

// guardJSON says what a check found.
type guardJSON struct {
	Repo       string      `json:"repo"`       // the repository, as `reservations` names it
	Paths      int         `json:"paths"`      // how many were checked
	Violations []heldJSON  `json:"violations"` // paths that somebody else has reserved
	Own        []heldJSON  `json:"own"`        // paths that other sessions of yours have reserved, where you commit outside of any
	Unchecked  []faultJSON `json:"unchecked"`  // meshes whose broker did not answer
}

// heldJSON is a path that is reserved.
type heldJSON struct {
	Path        string           `json:"path"`        // from the root of the repository
	Mesh        string           `json:"mesh"`        // slug
	Reservation wire.Reservation `json:"reservation"` // that stands for it
}

// faultJSON is a mesh that could not be asked.
type faultJSON struct {
	Mesh  string `json:"mesh"`  // slug; empty where it is the configuration that cannot be read
	Error string `json:"error"` // why
}

func guardCommand() Command {
	return Command{
		Name: "guard", Theme: Share, Short: "Have git refuse commits of what somebody else has reserved",
		Sub: []Command{guardInstallCommand(), guardUninstallCommand(), guardCheckCommand()},
	}
}

func guardCheckCommand() Command {
	var strict bool
	return Command{
		Name:  "check",
		Args:  "[path]...",
		Short: "Fail if what is staged is somebody else's exclusive reservation",
		Long: `This is what the hook runs. It asks every joined mesh, or that of --mesh; with paths it
checks these, from the root of the repository, instead of what is staged. A commit inside
a session is that session's, also against other sessions of yours; outside of any it is
yours, and reservations of your own sessions are only mentioned.
A broker that does not answer within two seconds is passed over with a warning: the
commit is yours, and reservations are advice. --strict fails then.`,
		Examples: []string{"claudemesh guard check", "claudemesh guard check --strict src/parser/lex.go"},
		EnvFlags: []string{"strict"},
		Mesh:     true, JSON: true, Output: guardJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&strict, "strict", false, "fail if a broker cannot be asked")
		},
		Run: func(ctx context.Context, env *Env, paths []string) error {
			repo, err := peer.FindRepo(ctx, ".")
			if err == nil && len(paths) == 0 {
				paths, err = staged(ctx)
			}
			if err != nil {
				return err
			}
			found, err := guard(ctx, env, &repo, paths)
			if err != nil {
				return err
			}
			if env.JSON {
				if err := env.Out().JSON(found); err != nil {
					return err
				}
			} else {
				found.print(env, strict)
			}
			if len(found.Violations) > 0 || strict && len(found.Unchecked) > 0 {
				return ExitCode(1)
			}
			return nil
		},
	}
}

// staged lists the paths that the next commit changes, those that it deletes
// or moves away too.
func staged(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "diff", "--cached", "--name-only", "--no-renames", "-z").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("git diff --cached: %s", strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for p := range bytes.SplitSeq(out, []byte{0}) {
		if len(p) > 0 {
			paths = append(paths, string(p))
		}
	}
	return paths, nil
}

// guard compares paths with what is reserved in the joined meshes.
func guard(ctx context.Context, env *Env, repo *peer.Repo, paths []string) (*guardJSON, error) {
	found := &guardJSON{Repo: repo.ID, Paths: len(paths), Violations: []heldJSON{}, Own: []heldJSON{}, Unchecked: []faultJSON{}}
	if len(paths) == 0 {
		return found, nil
	}
	c, err := env.Config()
	if err != nil {
		found.Unchecked = append(found.Unchecked, faultJSON{Error: plainError(err)})
		return found, nil
	}
	meshes := c.Meshes
	if env.Mesh != "" {
		m, err := c.Mesh(env.Mesh)
		if err != nil {
			return nil, err
		}
		meshes = []peer.Mesh{*m}
	}
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	var wg sync.WaitGroup
	parts := make([]guardJSON, len(meshes))
	for i := range meshes {
		wg.Go(func() { parts[i].ask(ctx, env, c, &meshes[i], repo.ID, paths) })
	}
	wg.Wait()
	for _, p := range parts {
		found.Violations = append(found.Violations, p.Violations...)
		found.Own = append(found.Own, p.Own...)
		found.Unchecked = append(found.Unchecked, p.Unchecked...)
	}
	return found, nil
}

// ask adds what one mesh knows.
func (g *guardJSON) ask(ctx context.Context, env *Env, c *peer.Config, m *peer.Mesh, repo string, paths []string) {
	opts, err := env.options(c, m)
	opts.Transient = true
	var client *peer.Client
	if err == nil {
		client, err = peer.Open(ctx, opts)
	}
	if err == nil {
		var list []wire.Reservation
		list, err = client.Reservations(ctx, repo)
		g.compare(client, list, paths)
		hangUp(ctx, client)
	}
	if err != nil {
		g.Unchecked = append(g.Unchecked, faultJSON{m.Slug, plainError(err)})
	}
}

// compare finds the paths that others have reserved for themselves.
func (g *guardJSON) compare(c *peer.Client, list []wire.Reservation, paths []string) {
	for _, r := range list {
		p, err := wire.ParsePattern(r.Pattern)
		if r.Shared || r.HolderPubkey == c.Address() {
			continue
		}
		for _, path := range paths {
			switch {
			case err == nil && !p.Matches(path):
			case c.Holds(&r):
				g.Own = append(g.Own, heldJSON{path, c.Mesh().Slug, r})
			default: // a pattern that this version cannot read is held to stand for all
				g.Violations = append(g.Violations, heldJSON{path, c.Mesh().Slug, r})
			}
		}
	}
}

// print says what was found, on standard error: the hook has no other place.
func (g *guardJSON) print(env *Env, strict bool) {
	const most = 20
	out := env.Err()
	for _, f := range g.Unchecked {
		out.Printf("%s: reservations were not checked: %s\n", Styled{Yellow, "claudemesh guard"}, strings.TrimPrefix(f.Mesh+": "+f.Error, ": "))
	}
	for _, h := range g.Own[:min(len(g.Own), most)] {
		out.Printf("%s: %s is reserved by your session %s (%s)\n", Styled{Yellow, "claudemesh guard"}, h.Path, h.Reservation.Holder, shortKey(h.Reservation.HolderPubkey))
	}
	for _, h := range g.Violations[:min(len(g.Violations), most)] {
		r := &h.Reservation
		out.Printf("%s: %s is reserved by %s (%s) in %s until %s", Styled{Red, "claudemesh guard"}, Styled{Bold, h.Path}, r.Holder, shortKey(r.HolderPubkey), h.Mesh, r.ExpiresAt)
		if r.Reason != "" {
			out.Printf(": %s", r.Reason)
		}
		out.Printf("\n")
	}
	if more := len(g.Violations) - most; more > 0 {
		out.Printf("and %d more\n", more)
	}
	switch {
	case len(g.Violations) > 0:
		out.Printf("Nothing was committed. Ask the holder: claudemesh send %s \"…\". To commit all the same: git commit --no-verify\n", shortKey(g.Violations[0].Reservation.HolderPubkey))
	case strict && len(g.Unchecked) > 0:
		out.Printf("Nothing was committed, as --strict asks. To commit all the same: git commit --no-verify\n")
	}
}
