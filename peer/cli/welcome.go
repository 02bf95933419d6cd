package cli

import (
	"context"
	"strings"
)

// welcomeCommand is what runs when there are no arguments.
func welcomeCommand() Command {
	return Command{
		Short:    "Say what this is and what to do next",
		Examples: []string{"claudemesh"},
		NoJSON:   "it speaks to people only",
		Run: func(_ context.Context, env *Env, _ []string) error {
			out := env.Out()
			out.Printf("%s %s: let coding-agent sessions find each other, talk and share what they know.\n\n", Styled{Bold, program}, ThisBuild().Version)
			c, err := env.Config()
			if err != nil {
				return WithHint(err, "`claudemesh doctor` says what is wrong, and what to do")
			}
			if env.Installed != nil && !env.Installed() {
				out.Printf("Sessions of Claude Code are no peers yet:\n")
				nextSteps(out, "claudemesh install", "put the tools and hooks into the settings of Claude Code")
				out.Printf("\n")
			}
			if len(c.Meshes) == 0 {
				out.Printf("You have not joined a mesh. Either\n")
				nextSteps(out, "claudemesh launch", "start Claude Code, with a broker on this machine", "claudemesh serve", "run a broker on this machine, with a mesh of your own", "claudemesh join <link>", "join with a link that somebody gave you")
			} else {
				out.Printf("You have joined %s. Next:\n", Styled{Bold, strings.Join(c.Slugs(), ", ")})
				nextSteps(out, "claudemesh launch", "start Claude Code as a peer", "claudemesh peers", "see who is online", "claudemesh send <to> <message>", "send a message", "claudemesh inbox", "read your mail", "claudemesh status", "check that everything works")
			}
			out.Printf("\nAll commands: claudemesh --help\n")
			return nil
		},
	}
}

// nextSteps prints command lines, each with what it does after it.
func nextSteps(out *Printer, steps ...string) {
	for i := 0; i+1 < len(steps); i += 2 {
		out.Printf("  %-32s %s\n", steps[i], steps[i+1])
	}
}
