package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func watchURLCommand() Command {
	return Command{
		Name: "watch-url", Theme: Automate, Short: "Have the broker look at URLs and tell you of changes",
		Long: `The broker looks, whether anything of yours runs or not, and what changes comes as a
message to your sessions. It reaches public addresses only, unless its operator allows
more. A watch rests when no session of yours was connected for a day, and is
deleted after a week.`,
		Sub: []Command{watchURLAddCommand(), watchURLListCommand(), watchURLRmCommand()},
	}
}

// watchURLFlags are the flags of watch-url add.
type watchURLFlags struct {
	mode, extract, on, label string
	every                    span
	headers                  repeated
}

func (f *watchURLFlags) define(fs *flag.FlagSet) {
	f.every = span(wire.WatchInterval * time.Second)
	choiceVar(fs, &f.mode, "mode", "hash", "look at this: `hash` of the body, json value, or status", "hash", "json", "status")
	fs.StringVar(&f.extract, "extract", "", "compare the value at this `path` of a JSON body, such as $.items[0].id")
	fs.StringVar(&f.on, "on", "change", "tell of this `condition`: change, match:<value> or not_match:<value>")
	fs.StringVar(&f.label, "label", "", "call it `so`")
	fs.Var(&f.every, "every", "look once in this `time`, 5s to 1d")
	fs.Var(&f.headers, "header", "send this `header`, as \"Name: value\"; may be given several times")
}

func (f *watchURLFlags) request(url string) (*wire.Watch, error) {
	seconds := time.Duration(f.every).Seconds()
	req := &wire.Watch{URL: url, Mode: wire.WatchMode(f.mode), Extract: f.extract, NotifyOn: f.on, Label: f.label, Interval: &seconds}
	if f.extract != "" {
		req.Mode = wire.WatchJSON
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, Usagef("--header must be \"Name: value\", not %q", h)
		}
		if req.Headers == nil {
			req.Headers = make(map[string]string)
		}
		req.Headers[http.CanonicalHeaderKey(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return req, nil
}

func watchURLAddCommand() Command {
	var f watchURLFlags
	return Command{
		Name: "add", Args: "<url>", Short: "Watch a URL",
		Long:     "What it sees first is what changes are told against. Headers are kept encrypted and\nnever shown.",
		Examples: []string{"claudemesh watch-url add https://example.com/status --mode status", "claudemesh watch-url add https://example.com/build.json --extract '$.state' --on match:green --label build"},
		Mesh:     true, JSON: true, Output: wire.WatchAck{},
		Flags:    f.define,
		Complete: map[string]Completer{"--mode": Values("hash", "json", "status"), "--on": Values("change", "match:", "not_match:")},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req, err := f.request(args[0])
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				ack, err := peer.Call(ctx, c, *req)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(ack)
				}
				env.Out().Printf("Watching %s in %s every %d s, as %s.\n", ack.URL, c.Mesh().Slug, ack.Interval, Styled{Bold, ack.WatchID})
				return nil
			})
		},
	}
}

func watchURLListCommand() Command {
	return Command{
		Name: "list", Short: "List the URLs that are watched for you", Examples: []string{"claudemesh watch-url list", "claudemesh watch-url list --json"},
		Mesh: true, JSON: true, Output: []wire.WatchEntry{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListWatches{})
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(list.Watches)
				case len(list.Watches) == 0:
					env.Err().Printf("Nothing is watched for you in %s. Begin with `claudemesh watch-url add <url>`.\n", c.Mesh().Slug)
				}
				printWatches(env, list.Watches)
				return nil
			})
		},
	}
}

func printWatches(env *Env, watches []wire.WatchEntry) {
	table := env.Out().Table("ID", "LABEL", "URL", "MODE", "EVERY", "CHECKED", "STATE", "VALUE")
	for _, w := range watches {
		state := Styled{Green, "ok"}
		switch {
		case w.Suspended:
			state = Styled{Yellow, "resting"}
		case w.LastError != "":
			state = Styled{Red, fmt.Sprintf("failed %d×: %s", w.Failures, w.LastError)}
		case w.LastCheck == nil:
			state = Styled{Dim, "not looked yet"}
		}
		checked := any("")
		if w.LastCheck != nil {
			checked = *w.LastCheck
		}
		table.Row(Styled{Bold, w.ID}, w.Label, w.URL, string(w.Mode), fmt.Sprintf("%d s", w.Interval), checked, state, wire.Shorten(w.LastValue, 30))
	}
	table.Flush()
}

func watchURLRmCommand() Command {
	return Command{
		Name: "rm", Args: "<id>", Short: "End a watch", Examples: []string{"claudemesh watch-url rm w_3f2c1aa2"},
		Mesh: true, JSON: true, Output: wire.WatchAck{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				ack, err := peer.Call(ctx, c, wire.Unwatch{WatchID: args[0]})
				switch {
				case err != nil:
					return WithHint(err, "`claudemesh watch-url list` shows yours")
				case env.JSON:
					return env.Out().JSON(ack)
				}
				env.Out().Printf("Ended the watch of %s in %s.\n", ack.URL, c.Mesh().Slug)
				return nil
			})
		},
	}
}
