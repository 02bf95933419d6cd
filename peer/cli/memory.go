package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// forgottenJSON says what forget removed.
type forgottenJSON struct {
	Forgotten []string `json:"forgotten"` // ids
}

func rememberCommand() Command {
	var tags repeated
	return Command{
		Name:  "remember",
		Theme: Share,
		Args:  "<text>",
		Short: "Keep a note for everyone in the mesh",
		Long: `It is found by its words and tags, with ` + "`claudemesh recall`" + `, by peers and by sessions
to come. A text that is - is read from standard input.`,
		Examples: []string{
			`claudemesh remember "Migrations run at deploy, never by hand" --tag db`,
			`claudemesh remember - --tag postmortem < notes.md`,
		},
		Mesh: true, JSON: true, Output: wire.MemoryStored{},
		Flags: func(fs *flag.FlagSet) { fs.Var(&tags, "tag", "find it by this `word` too; may be repeated") },
		Run: func(ctx context.Context, env *Env, args []string) error {
			text, err := readText(env, args[0])
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				stored, err := peer.Call(ctx, c, wire.Remember{Content: text, Tags: tags})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(stored)
				}
				env.Out().Printf("Remembered in %s, id %s\n", c.Mesh().Slug, stored.ID)
				return nil
			})
		},
	}
}

// recallFlags are the flags of recall.
type recallFlags struct {
	tag, by, since, until string
	limit                 int
}

func recallCommand() Command {
	var f recallFlags
	return Command{
		Name:  "recall",
		Theme: Share,
		Args:  "[word]...",
		Short: "Search the notes of everyone in the mesh",
		Long: `All words must occur in the note or its tags; their endings do not matter and
words such as "the" are ignored. No character is special. The best come first.
Without words the newest come first, for which one of the flags must be given.

A time is a length of time ago, such as 7d, or a date, or date and time.`,
		Examples: []string{"claudemesh recall migrations deploy", "claudemesh recall --tag db --by ann", "claudemesh recall --since 7d --json"},
		Mesh:     true, JSON: true, Output: []wire.Memory{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.tag, "tag", "", "only notes with this `tag`")
			fs.StringVar(&f.by, "by", "", "only notes of the peer with this `name`")
			fs.StringVar(&f.since, "since", "", "only notes from this `time` on")
			fs.StringVar(&f.until, "until", "", "only notes until this `time`")
			fs.IntVar(&f.limit, "limit", wire.MaxRecall, "print at most `n` notes, 1 to 20")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req, err := f.request(env, args)
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				found, err := peer.Call(ctx, c, req)
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(found.Memories)
				}
				for i := range found.Memories {
					printMemory(env, &found.Memories[i])
				}
				if len(found.Memories) == 0 {
					env.Err().Printf("Nothing of that is remembered in %s.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}

func (f *recallFlags) request(env *Env, words []string) (req wire.Recall, err error) {
	req = wire.Recall{Query: strings.Join(words, " "), Tag: f.tag, Author: f.by, Limit: f.limit}
	if req.After, err = pointInTime("since", f.since, env.Now()); err != nil {
		return req, err
	}
	if req.Before, err = pointInTime("until", f.until, env.Now()); err != nil {
		return req, err
	}
	switch {
	case f.limit < 1 || f.limit > wire.MaxRecall:
		return req, Usagef("--limit must be 1 to %d", wire.MaxRecall)
	case strings.TrimSpace(req.Query+f.tag+f.by+f.since+f.until) == "":
		return req, Usagef("give words to search for, or --tag, --by, --since or --until")
	}
	return req, nil
}

// pointInTime reads a flag: a length of time before now, a local date, or
// a time in RFC 3339; empty for none.
func pointInTime(flag, text string, now time.Time) (wire.Stamp, error) {
	if text == "" {
		return wire.Stamp{}, nil
	}
	if ago, err := parseSpan(text); err == nil {
		return wire.StampOf(now.Add(-ago)), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return wire.StampOf(t), nil
		}
	}
	return wire.Stamp{}, Usagef("--%s is a length of time such as 7d, or a date such as 2026-01-31, not %q", flag, text)
}

// printMemory prints a note, its lines indented so that none passes for the
// head of another.
func printMemory(env *Env, m *wire.Memory) {
	out := env.Out()
	tags := ""
	if len(m.Tags) > 0 {
		tags = " [" + strings.Join(m.Tags, ", ") + "]"
	}
	out.Printf("%s %s%s  %s\n", Styled{Bold, m.RememberedBy}, m.RememberedAt, tags, Styled{Dim, "id " + out.id(m.ID)})
	indented(out, m.Content)
}

// indented prints text of others with each line indented.
func indented(out *Printer, text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(Clean(text), "\n"), "\n") {
		out.raw("  " + line + "\n")
	}
}

func forgetCommand() Command {
	return Command{
		Name:     "forget",
		Theme:    Share,
		Args:     "<id>...",
		Short:    "Remove notes, whoever left them",
		Long:     "An id, or its first 8 characters, is what `claudemesh recall` prints.",
		Examples: []string{"claudemesh forget 4mWq0xYz", "claudemesh forget 4mWq0xYz 7Tg1bAcd"},
		Mesh:     true, JSON: true, Output: forgottenJSON{},
		Run: func(ctx context.Context, env *Env, ids []string) error {
			for _, id := range ids {
				if len(id) < wire.MinPrefix {
					return Usagef("give at least the first %d characters of the id, not %q", wire.MinPrefix, id)
				}
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				done := forgottenJSON{[]string{}}
				for _, id := range ids {
					ack, err := peer.Call(ctx, c, wire.Forget{MemoryID: id})
					if err == nil && ack.Unknown {
						err = fmt.Errorf("there is no memory %s in %s", id, c.Mesh().Slug)
					}
					if err != nil {
						return err
					}
					done.Forgotten = append(done.Forgotten, ack.MessageID)
					if !env.JSON {
						env.Out().Printf("Forgotten: %s\n", ack.MessageID)
					}
				}
				if env.JSON {
					return env.Out().JSON(done)
				}
				return nil
			})
		},
	}
}
