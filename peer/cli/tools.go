package cli

import (
	"context"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func toolsCommand() Command {
	return Command{
		Name: "tools", Theme: Share, Args: "[server]", Short: "List the tool servers of the mesh and their tools",
		Long:     "With the name of a server: that one, with the schemas of its tools.",
		Examples: []string{"claudemesh tools", "claudemesh tools db --json"},
		Mesh:     true, JSON: true, Output: []wire.MCPServer{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				servers, err := c.ToolServers(ctx, name)
				if err != nil {
					return err
				}
				if name != "" && len(servers) == 0 {
					return WithHint(&wire.Error{Code: wire.NotFound, Message: "there is no tool server " + CleanLine(name)}, "`claudemesh tools` lists those there are")
				}
				if env.JSON {
					return env.Out().JSON(servers)
				}
				printServers(env, c.Mesh().Slug, servers)
				return nil
			})
		},
		Sub: []Command{toolsRmCommand()},
	}
}

func printServers(env *Env, mesh string, servers []wire.MCPServer) {
	if len(servers) == 0 {
		env.Out().Printf("Nobody lends a tool server to %s. `claudemesh lend <name> -- <command>` does.\n", mesh)
	}
	for _, s := range servers {
		state := "hosted by " + s.HostedBy
		if !s.Online {
			state += ", offline"
		}
		if !s.Online && s.OfflineSince != nil {
			state += " since " + s.OfflineSince.Std().UTC().Format(time.DateTime) + " UTC"
		}
		env.Out().Printf("%s  %s (%s)\n", Styled{Bold, s.Name}, s.Description, state)
		for _, t := range s.Tools {
			env.Out().Printf("  %s  %s\n", t.Name, wire.Shorten(t.Description, 200))
			if len(t.InputSchema) > 0 {
				env.Out().Printf("    %s\n", t.InputSchema)
			}
		}
	}
}

func toolsRmCommand() Command {
	return Command{
		Name: "rm", Args: "<server>", Short: "End the offer of a tool server",
		Long:     "You can end what a session of yours has offered, and admins anything.",
		Examples: []string{"claudemesh tools rm db"},
		Mesh:     true, JSON: true, Output: removedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if err := c.RemoveServer(ctx, args[0]); err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(removedJSON{args[0]})
				}
				env.Out().Printf("Removed %s from %s.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}
