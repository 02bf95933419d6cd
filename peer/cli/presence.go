package cli

import (
	"context"
	"errors"

	"claudemesh/peer"
	"claudemesh/wire"
)

// noSession is the error, with a hint, for a change of presence where there is
// no session whose presence it could be.
func noSession(err error) error {
	if errors.Is(err, &wire.Error{Code: wire.NotFound}) {
		return WithHint(err, "run it inside a session, or while `claudemesh watch` runs")
	}
	return err
}

// changedJSON says whose presence a command changed.
type changedJSON struct {
	Status  wire.Status `json:"status,omitempty"`
	Summary *string     `json:"summary,omitempty"`
}

func summaryCommand() Command {
	return Command{
		Name:  "summary",
		Theme: Talk,
		Args:  "<text>",
		Short: "Say in a line what your session works on",
		Long: `Others see it in ` + "`claudemesh peers`" + `. An empty text clears it. The session is the one
this runs in, or the only one of yours that is connected.`,
		Examples: []string{`claudemesh summary "Refactoring the parser, ask before touching it"`, `claudemesh summary ""`},
		Mesh:     true,
		JSON:     true,
		Output:   changedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if err := c.SetSummary(ctx, args[0]); err != nil {
					return noSession(err)
				}
				switch {
				case env.JSON:
					return env.Out().JSON(changedJSON{Summary: &args[0]})
				case args[0] == "":
					env.Out().Printf("Cleared the summary in %s.\n", c.Mesh().Slug)
				default:
					env.Out().Printf("Others in %s now see: %s\n", c.Mesh().Slug, args[0])
				}
				return nil
			})
		},
	}
}

// setStatus sets the status of a session.
func setStatus(ctx context.Context, env *Env, s wire.Status) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		if err := c.SetStatus(ctx, s); err != nil {
			return noSession(err)
		}
		if env.JSON {
			return env.Out().JSON(changedJSON{Status: s})
		}
		env.Out().Printf("%s in %s.%s\n", Styled{Bold, string(s)}, c.Mesh().Slug, map[wire.Status]string{
			wire.Idle: " What waited for it is on its way.", wire.Working: " Only messages of priority now get through until it is idle.",
			wire.DND: " Only messages of priority now get through.",
		}[s])
		return nil
	})
}
