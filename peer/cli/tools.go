package cli

import (
	"context"
	"slices"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// toolServerJSON is a tool server that a session hosts, or a service that the
// broker runs.
type toolServerJSON struct {
	wire.MCPServer
	Service bool `json:"service,omitempty"` // the broker runs it; hostedBy is who deployed it then
}

func toolsCommand() Command {
	return Command{
		Name: "tools", Theme: Share, Args: "[server]", Short: "List the tool servers of the mesh and their tools",
		Long: `Those that members lend, and the services that run on the broker and that you may use.
With the name of a server: that one, with the schemas of its tools.`,
		Examples: []string{"claudemesh tools", "claudemesh tools db --json"},
		Mesh:     true, JSON: true, Output: []toolServerJSON{},
		Complete: map[string]Completer{"server": serviceNames},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				servers, err := toolServers(ctx, c, name)
				if err != nil {
					return err
				}
				if name != "" && len(servers) == 0 {
					return WithHint(&wire.Error{Code: wire.NotFound, Message: "there is no tool server " + CleanLine(name)}, "`claudemesh tools` lists those there are")
				}
				for _, s := range servers {
					noteService(env, c, s.Name)
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

// toolServers lists both kinds, or the one with that name and its schemas.
func toolServers(ctx context.Context, c *peer.Client, name string) ([]toolServerJSON, error) {
	live, err := c.ToolServers(ctx, name)
	if err != nil {
		return nil, err
	}
	all := []toolServerJSON{}
	for _, s := range live {
		all = append(all, toolServerJSON{MCPServer: s})
	}
	if err := c.FetchServiceTools(ctx); err != nil {
		return nil, err
	}
	for _, d := range c.Services() {
		if name != "" && d.Name != name {
			continue
		}
		s := toolServerJSON{Service: true, MCPServer: wire.MCPServer{Name: d.Name, Description: d.Description, HostedBy: d.DeployedBy, Online: true, Tools: slices.Clone(d.Tools)}}
		for i := range s.Tools {
			if name == "" {
				s.Tools[i].InputSchema = nil
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func printServers(env *Env, mesh string, servers []toolServerJSON) {
	if len(servers) == 0 {
		env.Out().Printf("Nobody lends a tool server to %s, and it runs no service for you. `claudemesh lend <name> -- <command>` and `claudemesh deploy` make some.\n", mesh)
	}
	for _, s := range servers {
		state := "hosted by " + s.HostedBy
		if s.Service {
			state = "a service of the broker, deployed by " + s.HostedBy
		}
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
