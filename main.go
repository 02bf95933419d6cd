// Command claudemesh lets coding-agent sessions on one or many machines work
// as equal peers of a mesh. This file is where the broker and the commands
// meet; they know nothing of each other.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"claudemesh/broker"
	"claudemesh/broker/runner/confine"
	"claudemesh/peer"
	"claudemesh/peer/bench"
	"claudemesh/peer/cli"
	"claudemesh/simulate"
)

func main() {
	confine.Main()
	os.Exit(run())
}

// run runs the command line and returns the exit code. The first SIGINT or
// SIGTERM asks for an orderly end, a second one ends at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	env := cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Args: os.Args[1:], ConfigDir: peer.ConfigDir(),
		Installed: installed, AuditFile: broker.VerifyAuditFile,
	}
	return cli.Main(ctx, env, commands())
}

// commands are those that package cli must not know.
func commands() []cli.Command {
	return append([]cli.Command{serveCommand(), mcpCommand(), bench.Command(), simulate.Command()}, hostCommands()...)
}
