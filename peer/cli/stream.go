package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// publishedJSON is what stream publish prints as JSON.
type publishedJSON struct {
	Stream  string `json:"stream"`  // its name
	Seq     int64  `json:"seq"`     // number of the entry, 0 from an older broker
	Reached int    `json:"reached"` // subscribers that were connected
}

// entryJSON is an entry that stream watch prints as JSON.
type entryJSON struct {
	Stream      string          `json:"stream"` // its name
	Seq         int64           `json:"seq"`    // its number, from 1 and without gaps
	Data        json.RawMessage `json:"data"`
	PublishedBy string          `json:"publishedBy"`           // display name
	PublishedAt *wire.Time      `json:"publishedAt,omitempty"` // when
	Missed      int64           `json:"missed,omitempty"`      // entries before it that are no longer kept
}

func streamCommand() Command {
	return Command{
		Name: "stream", Theme: Share, Short: "Publish to streams and follow them",
		Long: `A stream is a named line of entries, each any JSON. Whoever follows it gets each
entry as it is published, and can have the newest again that it keeps: 100 if
nothing else was said when it was made.`,
		Sub: []Command{streamPublishCommand(), streamWatchCommand(), streamListCommand(), streamCreateCommand(), streamRmCommand()},
	}
}

func streamCreateCommand() Command {
	var keep int
	return Command{
		Name: "create", Args: "<name>", Short: "Make a stream, or say that there is one",
		Long:     "Nobody must: a stream that is published to is made. Here it can be said how much\nit keeps, which a stream that is there does not change.",
		Examples: []string{"claudemesh stream create builds", "claudemesh stream create builds --keep 500"},
		Mesh:     true, JSON: true, Output: wire.StreamCreated{},
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&keep, "keep", wire.KeepEntries, fmt.Sprintf("keep the newest `n` entries, at most %d", wire.MaxKeep))
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, wire.CreateStream{Name: args[0], Keep: &keep})
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(res)
				case res.Existed:
					env.Out().Printf("%s is there already in %s, and keeps %s.\n", res.Name, c.Mesh().Slug, entries(res.Keep))
				default:
					env.Out().Printf("Made %s in %s. It keeps %s.\n", res.Name, c.Mesh().Slug, entries(res.Keep))
				}
				return nil
			})
		},
	}
}

// entries writes how many entries a stream keeps.
func entries(n int) string {
	if n == 1 {
		return "its newest entry"
	}
	return fmt.Sprintf("its newest %d entries", n)
}

func streamPublishCommand() Command {
	var text bool
	return Command{
		Name: "publish", Args: "<stream> <data>", Short: "Publish an entry",
		Long: `What is JSON is published as what it is, anything else as a text; --text says that
it is a text whatever it looks like. With - it is read from standard input.`,
		Examples: []string{`claudemesh stream publish builds '{"branch":"main","ok":true}'`, `claudemesh stream publish log "tests are green"`, "claudemesh stream publish commits - --text < commit.txt"},
		Mesh:     true, JSON: true, Output: publishedJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&text, "text", false, "publish a text, though it looks like a number or other JSON")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			data, err := entryOf(env, args[1], text)
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				seq, reached, err := c.Publish(ctx, args[0], data)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(publishedJSON{args[0], seq, reached})
				case reached == 0:
					env.Out().Printf("Published %s number %d. Nobody follows it now.\n", args[0], seq)
				default:
					env.Out().Printf("Published %s number %d to %s.\n", args[0], seq, many(reached, "subscriber"))
				}
				return nil
			})
		},
	}
}

// entryOf makes an entry of an argument, or of standard input.
func entryOf(env *Env, arg string, text bool) (json.RawMessage, error) {
	data := []byte(arg)
	if arg == "-" {
		var err error
		if data, err = io.ReadAll(io.LimitReader(env.Stdin, wire.MaxEntryBytes+1)); err != nil {
			return nil, fmt.Errorf("cannot read standard input: %w", err)
		}
		data = bytes.TrimSuffix(data, []byte("\n"))
	}
	if len(data) > wire.MaxEntryBytes {
		return nil, fmt.Errorf("the entry has more than %d KiB: share a file and publish its id", wire.MaxEntryBytes>>10)
	}
	if !text && json.Valid(data) {
		return data, nil
	}
	return json.Marshal(string(data))
}

func streamWatchCommand() Command {
	var from, last int64
	return Command{
		Name: "watch", Args: "<stream>...", Short: "Follow streams and print one line per entry",
		Long: `Until it is interrupted, and over lost connections. Entries come in their order and
once; if some are lost because they are no longer kept, it says how many.`,
		Examples: []string{"claudemesh stream watch builds", "claudemesh stream watch builds --last 10", "claudemesh stream watch log deploys --json >> entries.jsonl"},
		Mesh:     true, JSON: true, Output: entryJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.Int64Var(&from, "from", 0, "begin with the kept entry of that `number`; 1 is all that is kept")
			fs.Int64Var(&last, "last", 0, "begin with the last `n` entries")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			switch {
			case from < 0 || last < 0:
				return Usagef("--from and --last must be at least 1")
			case from > 0 && last > 0:
				return Usagef("--from and --last exclude each other")
			}
			if last > 0 {
				from = -last
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error { return watchStreams(ctx, env, c, args, from) })
		},
	}
}

// An arrival is an entry of one of several streams, or why no more come of it.
type arrival struct {
	entry peer.Entry
	err   error
}

// watchStreams prints what comes of streams until ctx ends.
func watchStreams(ctx context.Context, env *Env, c *peer.Client, names []string, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer reportingState(ctx, env, c)()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	arrivals := make(chan arrival)
	for _, name := range names {
		sub, err := c.Subscribe(ctx, name, from)
		if err != nil {
			return err
		}
		env.Err().Printf("Following %s in %s. Ctrl-C ends.\n", name, c.Mesh().Slug)
		readers.Go(func() { follow(ctx, sub, arrivals) })
	}
	for {
		select {
		case a := <-arrivals:
			if a.err != nil {
				return a.err
			}
			if err := printEntry(env, &a.entry); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// follow passes on what comes of a stream until ctx ends, or none can come.
func follow(ctx context.Context, sub *peer.Subscription, to chan<- arrival) {
	for {
		e, err := sub.Next(ctx)
		select {
		case to <- arrival{e, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func printEntry(env *Env, e *peer.Entry) error {
	if env.JSON {
		out := entryJSON{Stream: e.Stream, Seq: e.Seq, Data: e.Data, PublishedBy: e.PublishedBy, Missed: e.Missed}
		if !e.PublishedAt.IsZero() {
			at := wire.Time(e.PublishedAt)
			out.PublishedAt = &at
		}
		return env.Out().JSONLine(out)
	}
	if e.Missed > 0 {
		env.Err().Printf("%s of %s missed: no longer kept.\n", many(int(e.Missed), "entry"), e.Stream)
	}
	var line bytes.Buffer
	if json.Compact(&line, e.Data) != nil {
		return fmt.Errorf("the broker sent an entry of %s that is no JSON", e.Stream)
	}
	at := ""
	if !e.PublishedAt.IsZero() {
		at = e.PublishedAt.Local().Format(time.TimeOnly) + " "
	}
	env.Out().Printf("%s%s #%d %s: %s\n", Styled{Dim, at}, e.Stream, e.Seq, Styled{Bold, e.PublishedBy}, line.String())
	return nil
}

func streamListCommand() Command {
	return Command{
		Name: "list", Short: "List the streams of a mesh", Examples: []string{"claudemesh stream list", "claudemesh stream list --json"},
		Mesh: true, JSON: true, Output: []wire.Stream{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListStreams{})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(list.Streams)
				}
				table := env.Out().Table("STREAM", "ENTRIES", "KEPT", "FOLLOWED BY", "CREATED", "BY", "ID")
				for _, s := range list.Streams {
					table.Row(Styled{Bold, s.Name}, s.Last, fmt.Sprintf("%d of %d", s.Kept, s.Keep), s.SubscriberCount, s.CreatedAt, s.CreatedBy, s.ID)
				}
				table.Flush()
				if len(list.Streams) == 0 {
					env.Err().Printf("%s has no streams. Publish to one with `claudemesh stream publish <name> <data>`.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}

func streamRmCommand() Command {
	return Command{
		Name: "rm", Args: "<stream>", Short: "Delete a stream and what it keeps",
		Long:     "For who made it, and admins. Who follows it goes on doing so, should it be made anew.",
		Examples: []string{"claudemesh stream rm builds"},
		Mesh:     true, JSON: true, Output: removedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if _, err := peer.Call(ctx, c, wire.DeleteStream{Name: args[0]}); err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(removedJSON{args[0]})
				}
				env.Out().Printf("Deleted %s in %s.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}
