package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// reserveFlags are the flags of what reserves paths.
type reserveFlags struct {
	shared, withSession bool
	ttl                 span
	reason, repo        string
}

func (f *reserveFlags) define(fs *flag.FlagSet) {
	f.ttl = span(wire.ReserveFor)
	fs.BoolVar(&f.shared, "shared", false, "let others reserve the same in this way; keep out exclusive ones only")
	fs.Var(&f.ttl, "for", "hold it for this `long`, seven days at most")
	fs.BoolVar(&f.withSession, "with-session", false, "end it with the session this runs in, if that is earlier")
	fs.StringVar(&f.reason, "reason", "", "tell others `why`")
	fs.StringVar(&f.repo, "repo", "", "use the repository of this `name`, with patterns from its root, instead of the one of the present directory")
}

// request makes the request of patterns as they are written in the present
// directory.
func (f *reserveFlags) request(ctx context.Context, patterns []string) (*wire.Reserve, error) {
	repo, patterns, err := repoPatterns(ctx, f.repo, patterns)
	if err != nil {
		return nil, err
	}
	ttl := int64(time.Duration(f.ttl) / time.Second)
	if ttl < 1 {
		return nil, Usagef("--for must be a second or more")
	}
	return &wire.Reserve{Repo: repo, Patterns: patterns, Shared: f.shared, TTL: ttl, UntilGone: f.withSession, Reason: f.reason}, nil
}

// repoPatterns returns the name of a repository, that of the present directory
// if none is given, and what the patterns mean in it.
func repoPatterns(ctx context.Context, name string, patterns []string) (string, []string, error) {
	r := peer.Repo{ID: name}
	if name == "" {
		var err error
		if r, err = peer.FindRepo(ctx, "."); err != nil {
			return "", nil, err
		}
	}
	patterns, err := r.Patterns(patterns)
	if err != nil {
		return "", nil, Usagef("%s", plainError(err))
	}
	return r.ID, patterns, nil
}

func reserveCommand() Command {
	var hold reserveFlags
	return Command{
		Name:  "reserve",
		Theme: Share,
		Args:  "<pattern>...",
		Short: "Say which paths of this repository you are about to change",
		Long: `A pattern is a file, a directory with all below it, or a glob: ? and * within a name,
** for any number of directories. It is relative to the present directory, or to the root
of the repository after a /. All patterns are reserved, or none: then it says who holds
what is in the way. A reservation is advice; ` + "`claudemesh guard install`" + ` has git heed it.`,
		Examples: []string{"claudemesh reserve src/parser --reason \"new lexer\"", "claudemesh reserve '**/*.proto' --shared --for 2h"},
		Mesh:     true, JSON: true, Output: []wire.Reservation{},
		Flags: hold.define,
		Run: func(ctx context.Context, env *Env, args []string) error {
			req, err := hold.request(ctx, args)
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, *req)
				switch {
				case errors.Is(err, &wire.Error{Code: wire.Reserved}):
					return WithHint(err, "`claudemesh reservations` shows what is reserved; ask with `claudemesh send`")
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(res.Reservations)
				}
				printReservations(env, res.Reservations)
				return nil
			})
		},
	}
}

func releaseCommand() Command {
	var repo string
	var byID bool
	return Command{
		Name:     "release",
		Theme:    Share,
		Args:     "[pattern]...",
		Short:    "Release what you have reserved in this repository",
		Long:     "Without patterns it releases all of it. `claudemesh task release` gives up a task.",
		Examples: []string{"claudemesh release", "claudemesh release src/parser", "claudemesh release --id 7dK2"},
		Mesh:     true, JSON: true, Output: []wire.Reservation{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&repo, "repo", "", "use the repository of this `name` instead of the one of the present directory")
			fs.BoolVar(&byID, "id", false, "take the arguments for ids; so an admin releases what others hold")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req := wire.Release{IDs: args}
			if !byID {
				var err error
				if req.Repo, req.Patterns, err = repoPatterns(ctx, repo, args); err != nil {
					return err
				}
				req.IDs = nil
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if err := completeIDs(ctx, c, req.IDs); err != nil {
					return err
				}
				res, err := peer.Call(ctx, c, req)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(res.Reservations)
				}
				for _, r := range res.Reservations {
					env.Out().Printf("Released %s in %s.\n", r.Pattern, r.Repo)
				}
				if len(res.Reservations) == 0 {
					env.Err().Printf("You hold no such reservation in %s.\n", req.Repo)
				}
				return nil
			})
		},
	}
}

// completeIDs replaces the beginnings of ids by the ids of reservations.
func completeIDs(ctx context.Context, c *peer.Client, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	all, err := c.Reservations(ctx, "")
	if err != nil {
		return err
	}
	named := make([]nameable, len(all))
	for i, r := range all {
		named[i] = nameable{"", []string{r.ID}}
	}
	for i, text := range ids {
		at, err := find(named, text, "reservation")
		if err != nil {
			return err
		}
		ids[i] = all[at].ID
	}
	return nil
}

func reservationsCommand() Command {
	var repo string
	var all bool
	return Command{
		Name:     "reservations",
		Theme:    Share,
		Short:    "Show which paths of this repository are reserved, and by whom",
		Examples: []string{"claudemesh reservations", "claudemesh reservations --all --json"},
		Mesh:     true, JSON: true, Output: []wire.Reservation{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&all, "all", false, "show those of every repository")
			fs.StringVar(&repo, "repo", "", "use the repository of this `name` instead of the one of the present directory")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			if all && repo != "" {
				return Usagef("--all and --repo exclude each other")
			}
			if !all {
				var err error
				if repo, _, err = repoPatterns(ctx, repo, nil); err != nil {
					return err
				}
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := c.Reservations(ctx, repo)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(append([]wire.Reservation{}, list...))
				case len(list) == 0 && !all:
					env.Err().Printf("Nothing is reserved in %s.\n", repo)
				}
				printReservations(env, list)
				return nil
			})
		},
	}
}

func printReservations(env *Env, list []wire.Reservation) {
	table := env.Out().Table("KIND", "PATTERN", "HOLDER", "KEY", "UNTIL", "ID", "REPOSITORY", "REASON")
	for _, r := range list {
		kind := Styled{Yellow, "exclusive"}
		if r.Shared {
			kind = Styled{Green, "shared"}
		}
		until := fmt.Sprint(env.Out().Time(r.ExpiresAt.Std()))
		if r.UntilGone {
			until += " or with its session"
		}
		table.Row(kind, Styled{Bold, r.Pattern}, r.Holder, shortKey(r.HolderPubkey), until, env.Out().id(r.ID), r.Repo, r.Reason)
	}
	table.Flush()
}
