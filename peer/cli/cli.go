// Package cli is the command line of claudemesh: one table of commands and
// what they share, which is parsing, help, output, completion and exit codes.
// A feature is one file with a constructor of its Command and one line in the
// table. Commands keep nothing in globals: all they touch comes in an Env, so
// a test runs the very command line a user types.
package cli

import (
	"context"
	"errors"
)

const program = "claudemesh"

// Themes in the order of the help.
const (
	Start    Theme = "Get started"
	Meshes   Theme = "Meshes and members"
	Talk     Theme = "Talk"
	Share    Theme = "Share"
	Automate Theme = "Automate"
	Host     Theme = "Claude Code"
	Serve    Theme = "Run a broker"
	Other    Theme = "More"
)

func themes() []Theme {
	return []Theme{Start, Meshes, Talk, Share, Automate, Host, Serve, Other}
}

// commands is the table.
func commands() []Command {
	return []Command{
		welcomeCommand(),
		joinCommand(),
		statusCommand(),
		demoCommand(),

		createCommand(),
		listCommand(),
		leaveCommand(),
		inviteCommand(),
		membersCommand(),
		infoCommand(),
		auditCommand(),

		peersCommand(),
		sendCommand(),
		inboxCommand(),
		watchCommand(),
		traceCommand(),
		groupCommand(),
		summaryCommand(),

		fileCommand(),
		shareDirCommand(),
		peerFileCommand(),
		streamCommand(),
		skillCommand(),
		toolsCommand(),
		callCommand(),
		lendCommand(),
		vaultCommand(),
		deployCommand(),
		catalogCommand(),
		updateCommand(),
		undeployCommand(),
		scopeCommand(),
		logsCommand(),
		stateCommand(),
		rememberCommand(),
		recallCommand(),
		forgetCommand(),
		contextCommand(),
		taskCommand(),
		reserveCommand(),
		releaseCommand(),
		reservationsCommand(),
		guardCommand(),

		remindCommand(),
		clockCommand(),
		webhookCommand(),
		watchURLCommand(),

		versionCommand(),
		completionCommand(),
		completeCommand(),
		helpCommand(),
	}
}

// newRoot returns the whole tree: the table and extra.
func newRoot(extra []Command) *Command {
	return &Command{
		Name:  program,
		Short: "Let coding-agent sessions find each other, talk and share what they know.",
		Sub:   append(commands(), extra...),
	}
}

// Main runs the command that env.Args name and returns the exit code: 0, 2 for
// a command line that cannot be understood, 1 for any other failure, or the
// code of an ExitCode error. Errors are written to env.Stderr. The commands of
// extra, from packages that this one must not know, are added to the table; one
// with an empty name is what runs when there are no arguments.
func Main(ctx context.Context, env Env, extra []Command) int {
	env.fill()
	root := newRoot(extra)
	env.root = root
	inv, err := parse(&env, root, env.Args)
	if err == nil {
		err = inv.run(ctx)
	}
	if err == nil && env.out.err != nil {
		err = errors.Join(errors.New("cannot write the output"), env.out.err)
	}
	return report(ctx, &env, inv, err)
}
