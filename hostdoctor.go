package main

import (
	"context"

	"claudemesh/launch"
	"claudemesh/peer/cli"
)

func doctorCommand() cli.Command {
	return cli.Command{
		Name:  "doctor",
		Theme: cli.Host,
		Short: "Find out why a session is no peer, or does not hear of its mail",
		Long: `Checks Claude Code and its settings, the configuration and its keys, and the broker of each
mesh, and changes nothing. Inside a session it says, too, by which ways mail reaches its
model. The exit code is 1 if a check fails.`,
		Examples: []string{"claudemesh doctor", "claudemesh doctor --json"},
		JSON:     true,
		Output:   launch.Diagnosis{},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			h, err := launch.NewHost(env.Getenv, env.ConfigDir)
			if err != nil {
				return err
			}
			done := env.Progress("looking")
			d := h.Doctor(ctx)
			done()
			if env.JSON {
				err = env.Out().JSON(d)
			} else {
				printDiagnosis(env, d)
			}
			if !d.OK && err == nil {
				return cli.ExitCode(1)
			}
			return err
		},
	}
}

func printDiagnosis(env *cli.Env, d launch.Diagnosis) {
	out := env.Out()
	for _, c := range d.Checks {
		mark := cli.Styled{Style: cli.Green, Text: "✓"}
		if !c.OK {
			mark = cli.Styled{Style: cli.Red, Text: "✗"}
		}
		out.Printf("%s %s: %s\n", mark, c.Name, c.Detail)
		if c.Hint != "" {
			out.Printf("  %s\n", c.Hint)
		}
	}
	if d.Session == nil {
		return
	}
	out.Printf("inside the ")
	cli.PrintWays(out, d.Session)
}
