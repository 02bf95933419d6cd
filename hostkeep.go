package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"strconv"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/peer/tools"
)

// keepCommand is what launch leaves behind for a session that mail may wake
// when it is closed.
func keepCommand() cli.Command {
	wakes := launch.WakesPerHour
	return cli.Command{
		Name:     "keep",
		Theme:    cli.Host,
		Args:     "<session>",
		Hidden:   true,
		Short:    "Wait for mail of a launched session while it is closed, and wake it",
		NoJSON:   "it logs",
		Examples: []string{"claudemesh keep 0191d1b0-0000-4000-8000-00000000c0de"},
		Flags:    func(fs *flag.FlagSet) { wakesFlag(fs, &wakes) },
		Run: func(ctx context.Context, env *cli.Env, args []string) error {
			h, err := launch.NewHost(env.Getenv, env.ConfigDir)
			if err != nil {
				return err
			}
			return h.Keep(ctx, launch.KeepRun{
				SessionID: args[0], WakesPerHour: wakes, Compose: tools.Prompt, Prompted: tools.PromptedVariable,
				Hint: func(meshID string) (string, error) {
					c, err := peer.LoadConfig(h.ConfigDir)
					if err != nil {
						return "", err
					}
					m, err := c.Mesh(meshID)
					if err != nil {
						return "", err
					}
					t, err := templateOf(h.ConfigDir, m)
					if t == nil {
						return "", err
					}
					return t.SystemPromptHint, nil
				},
				Logger: slog.New(slog.NewTextHandler(env.Stderr, nil)),
			})
		},
	}
}

// maxWakes bounds --wakes-per-hour: every wake is a turn that is paid for.
const maxWakes = 60

func wakesFlag(fs *flag.FlagSet, n *int) {
	fs.Func("wakes-per-hour", fmt.Sprintf("wake a closed session at most `n` times within an hour (default %d)", launch.WakesPerHour), func(s string) error {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 || v > maxWakes {
			return fmt.Errorf("it is a number from 1 to %d", maxWakes)
		}
		*n = v
		return nil
	})
}
