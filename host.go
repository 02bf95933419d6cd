package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/peer/tools"
)

// hostCommands are those that touch the host program.
func hostCommands() []cli.Command {
	return []cli.Command{installCommand(), uninstallCommand(), hookCommand(), waitCommand(), launchCommand(), keepCommand(), doctorCommand()}
}

func installCommand() cli.Command {
	var o launch.InstallOptions
	return cli.Command{
		Name:  "install",
		Theme: cli.Host,
		Short: "Make sessions of Claude Code, or of another client, peers of your meshes",
		Long: `Adds the MCP server, the permission to use its tools, and hooks by which mail
reaches the model to the user's settings of Claude Code. Files are changed under a lock,
by replacing them whole; what is not ours stays as it is; copies of what was there
are in the directory backups. To install again changes nothing, or brings the entries
up to date. A settings file that cannot be read is left alone.

In the end the server is started once and, with a mesh joined, sends itself a message
through the broker. Sessions that are open have to be started anew.

Other clients get the MCP server alone: their sessions learn of mail when they use
a tool.`,
		Examples: []string{"claudemesh install", "claudemesh install --no-hooks", "claudemesh install --client codex"},
		JSON:     true,
		Output:   launch.Installed{},
		Flags: func(fs *flag.FlagSet) {
			clientFlag(fs, &o.Client)
			fs.BoolVar(&o.NoHooks, "no-hooks", false, "leave the hooks out; mail then waits until a tool is used")
			fs.BoolVar(&o.Native, "native-messaging", false, "let the MCP server write to the session's own messaging socket")
		},
		Complete: map[string]cli.Completer{"--client": cli.Values(clients()...)},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			h, err := launch.NewHost(env.Getenv, env.ConfigDir)
			if err != nil {
				return err
			}
			in, err := h.Install(ctx, o)
			if err != nil {
				return cli.WithHint(err, "correct the file, then run `claudemesh install` again")
			}
			proof, proofErr := prove(ctx, env, h)
			in.Proof = &proof
			switch {
			case env.JSON:
				err = env.Out().JSON(in)
			case proofErr != nil:
				printFiles(env, in)
			default:
				printInstalled(env, in)
			}
			if proofErr != nil {
				return cli.WithHint(fmt.Errorf("installed, but it does not work: %w", proofErr), "`claudemesh doctor` says more")
			}
			return err
		},
	}
}

// installed reports whether Claude Code's settings have this program.
func installed() bool {
	h, err := launch.NewHost(os.Getenv, peer.ConfigDir())
	return err == nil && h.IsInstalled()
}

// clients are the values of --client.
func clients() []string { return append([]string{launch.ClaudeCode}, launch.Clients()...) }

func clientFlag(fs *flag.FlagSet, value *string) {
	*value = launch.ClaudeCode
	fs.Func("client", "`name` of the client: "+strings.Join(clients(), ", ")+" (default claude)", func(s string) error {
		if !slices.Contains(clients(), s) {
			return fmt.Errorf("it is one of: %s", strings.Join(clients(), ", "))
		}
		*value = s
		return nil
	})
}

// prove tries what was installed, as far as this version of the program has it.
func prove(ctx context.Context, env *cli.Env, h *launch.Host) (launch.Proof, error) {
	if !slices.ContainsFunc(commands(), func(c cli.Command) bool { return c.Name == "mcp" }) {
		return launch.Proof{Skipped: "The MCP server was not tried, because this version of claudemesh has none."}, nil
	}
	done := env.Progress("trying it")
	defer done()
	return h.Prove(ctx)
}

func printInstalled(env *cli.Env, in launch.Installed) {
	out := env.Out()
	printFiles(env, in)
	p := in.Proof
	if p.Server != "" {
		out.Printf("%s %s answers and offers %d tools\n", cli.Styled{Style: cli.Green, Text: "✓"}, p.Server, p.Tools)
	}
	if p.RoundTrip != "" {
		out.Printf("%s a message to itself came back through the broker of %s\n", cli.Styled{Style: cli.Green, Text: "✓"}, p.RoundTrip)
	}
	if p.Skipped != "" {
		out.Printf("%s\n", p.Skipped)
	}
	if c, err := env.Config(); err == nil && len(c.Meshes) == 0 {
		out.Printf("Next: start a broker with `claudemesh serve`, or join a mesh with `claudemesh join <link>`.\n")
		return
	}
	out.Printf("Start a new session for it to take effect; `claudemesh launch` starts one with a name, a role and groups.\n")
}

// became says what became of our entries in a settings file: the file itself
// stays.
func became(o launch.Outcome) string {
	switch o {
	case launch.Added, launch.Removed:
		return "claudemesh " + string(o)
	case launch.Absent:
		return "claudemesh was not in it"
	}
	return string(o)
}

func printFiles(env *cli.Env, in launch.Installed) {
	out := env.Out()
	if in.Missing != "" {
		env.Err().Printf("warning: %s; its settings are written all the same\n", in.Missing)
	}
	for _, f := range in.Files {
		out.Printf("%s: %s\n", f.Path, became(f.Outcome))
		if f.Backup != "" {
			out.Printf("  a copy of what was there: %s\n", f.Backup)
		}
		for _, name := range f.Left {
			out.Printf("  left as it is, because it was changed since: %s\n", name)
		}
	}
}

func uninstallCommand() cli.Command {
	var client string
	return cli.Command{
		Name:  "uninstall",
		Theme: cli.Host,
		Short: "Take out of a client's settings what install put in",
		Long: `Removes exactly what install added and puts back what it replaced. Where nothing else
was changed since, the settings are what they were to the byte. Your meshes and keys
stay.`,
		Examples: []string{"claudemesh uninstall", "claudemesh uninstall --client cursor"},
		JSON:     true,
		Output:   launch.Installed{},
		Flags:    func(fs *flag.FlagSet) { clientFlag(fs, &client) },
		Complete: map[string]cli.Completer{"--client": cli.Values(clients()...)},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			h, err := launch.NewHost(env.Getenv, env.ConfigDir)
			if err != nil {
				return err
			}
			un, err := h.Uninstall(ctx, client)
			if err != nil {
				return err
			}
			if env.JSON {
				return env.Out().JSON(un)
			}
			printFiles(env, un)
			return nil
		},
	}
}

// hookCommand is what the host runs at each step of a session. Whatever
// happens, the host hears nothing but mail, and the exit code is 0: others mean
// something to it.
func hookCommand() cli.Command {
	return cli.Command{
		Name:     "hook",
		Theme:    cli.Host,
		Args:     "[event]...",
		Hidden:   true,
		Short:    "Tell the mesh what a session does, and add its mail to the turn",
		NoJSON:   "it answers the host",
		Examples: []string{"claudemesh hook Stop"},
		Run: func(ctx context.Context, env *cli.Env, args []string) error {
			run := launch.HookRun{Getenv: env.Getenv, ConfigDir: env.ConfigDir, Stdout: env.Stdout, StandIn: standIn(env)}
			if !env.IsTerminal(env.Stdin) {
				run.Stdin = env.Stdin
			}
			if len(args) > 0 {
				run.Event = args[0]
			}
			if err := launch.Hook(ctx, run); err != nil && env.Getenv("CLAUDEMESH_HOOK_DEBUG") == "1" {
				env.Err().Printf("claudemesh hook: %v\n", err)
			}
			return nil
		},
	}
}

// standIn gets the mail of a session that no MCP server holds.
func standIn(env *cli.Env) func(context.Context, launch.Unheld) (launch.StandIn, error) {
	return func(ctx context.Context, a launch.Unheld) (launch.StandIn, error) {
		return tools.OpenStandIn(ctx, tools.StandInOptions{
			Getenv: env.Getenv, ConfigDir: env.ConfigDir, SessionID: a.SessionID, Busy: a.Busy, Announced: a.Announced, Logger: env.Logger(),
		})
	}
}

// wokeCode is the exit code by which a hook that runs beside a session starts
// a turn.
const wokeCode = cli.ExitCode(2)

// waitCommand is what the host runs beside a session: it starts a turn when
// mail comes, and for no other reason.
func waitCommand() cli.Command {
	var asHook bool
	return cli.Command{
		Name:     "wait",
		Theme:    cli.Host,
		Hidden:   true,
		Short:    "Wait for mail of a session and start a turn with it",
		NoJSON:   "it answers the host",
		Examples: []string{"claudemesh wait --hook"},
		Flags:    func(fs *flag.FlagSet) { fs.BoolVar(&asHook, "hook", false, "run as a hook of Claude Code") },
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			if !asHook {
				return cli.WithHint(errors.New("wait is for a hook of Claude Code"), "to wait for mail use `claudemesh inbox --wait` or `claudemesh watch`")
			}
			run := launch.WaitRun{Getenv: env.Getenv, Stderr: env.Stderr, StandIn: standIn(env)}
			if !env.IsTerminal(env.Stdin) {
				run.Stdin = env.Stdin
			}
			woke, err := launch.Wait(ctx, run)
			if err != nil && env.Getenv("CLAUDEMESH_HOOK_DEBUG") == "1" {
				env.Err().Printf("claudemesh wait: %v\n", err)
			}
			if woke {
				return wokeCode
			}
			return nil
		},
	}
}
