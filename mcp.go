package main

import (
	"context"
	"flag"

	"claudemesh/peer/cli"
	"claudemesh/peer/tools"
)

// mcpCommand runs the MCP server of a session.
func mcpCommand() cli.Command {
	var which, service string
	return cli.Command{
		Name:  "mcp",
		Theme: cli.Host,
		Short: "Serve a session's tools over MCP; the host program starts it",
		Long: `Speaks MCP on standard input and output, connects the session to all joined meshes
and follows the configuration while it runs. It ends with its input.

The session is the one that CLAUDEMESH_SESSION_ID or CLAUDE_CODE_SESSION_ID names;
without either it is a new peer each time. With --tools core only the tools that
most sessions need are listed, which saves what a listing costs a model.

With --service it is the server of one service that the broker runs, and has the
service's tools under their own names; launch gives one to the session for each. It
ends when the service is undeployed.`,
		Examples: []string{"claudemesh mcp", "claudemesh mcp --tools core", "claudemesh mcp --tools send_message,check_messages", "claudemesh mcp --service db"},
		Mesh:     true,
		NoJSON:   "standard output carries MCP",
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&which, "tools", "all", "list these `tools`: all, core, or names with commas")
			fs.StringVar(&service, "service", "", "serve the tools of the service with this `name` instead")
		},
		Complete: map[string]cli.Completer{"--tools": cli.Values(append([]string{"all", "core"}, tools.Names()...)...)},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			if service != "" {
				return tools.ServeService(ctx, tools.ProxyOptions{
					Stdin: env.Stdin, Stdout: env.Stdout, Getenv: env.Getenv, ConfigDir: env.ConfigDir,
					Version: cli.ThisBuild().Version, Service: service, Mesh: env.Mesh, Logger: env.Logger(),
				})
			}
			return tools.Serve(ctx, tools.Options{
				Stdin: env.Stdin, Stdout: env.Stdout, Getenv: env.Getenv, ConfigDir: env.ConfigDir,
				Version: cli.ThisBuild().Version, Tools: which, Logger: env.Logger(),
			})
		},
	}
}
