package cli

import (
	"context"
	"errors"
	"flag"
	"slices"

	"claudemesh/peer"
	"claudemesh/wire"
)

func undeployCommand() Command {
	var yes bool
	return Command{
		Name: "undeploy", Theme: Share, Args: "<name>", Short: "End a service and delete it on the broker",
		Long:     "For who deployed it, and admins. What it has written into its directory is deleted with it.",
		Examples: []string{"claudemesh undeploy db", "claudemesh undeploy db --yes"},
		Mesh:     true, JSON: true, Output: removedJSON{},
		Complete: map[string]Completer{"name": serviceNames},
		Flags:    func(fs *flag.FlagSet) { fs.BoolVar(&yes, "yes", false, "do not ask"); Alias(fs, "y", "yes") },
		Run: func(ctx context.Context, env *Env, args []string) error {
			if err := env.confirm(ctx, yes, "End %s and delete it on the broker, with all that it has kept?", args[0]); err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				done := env.Progress("ending " + args[0])
				err := c.Undeploy(ctx, args[0])
				done()
				if err != nil {
					return noService(err)
				}
				noteServices(env, c, func(names []string) []string {
					return slices.DeleteFunc(names, func(n string) bool { return n == args[0] })
				})
				if env.JSON {
					return env.Out().JSON(removedJSON{args[0]})
				}
				env.Out().Printf("Ended %s in %s.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}

// noService adds to a refusal where to look.
func noService(err error) error {
	if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code == wire.NotFound {
		return WithHint(err, "`claudemesh catalog` lists the services that you may use")
	}
	return err
}

func updateCommand() Command {
	return Command{
		Name: "update", Theme: Share, Args: "<name>", Short: "Build a service anew from its source",
		Long: `For git, npm and PyPI; deploy again what came from an archive. What runs is replaced when
the new version is up, and runs on if that fails: then the command ends with 1.`,
		Examples: []string{"claudemesh update db"},
		Complete: map[string]Completer{"name": serviceNames},
		Mesh:     true, JSON: true, Output: deployedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				st, err := followBuild(env, args[0], func(told func(wire.MCPDeployStatus)) (wire.MCPDeployStatus, error) {
					return c.UpdateService(ctx, args[0], told)
				})
				if err != nil {
					return unknownOutcome(env, noService(err), args[0])
				}
				return printOutcome(ctx, env, c, &st, nil, "updated")
			})
		},
	}
}

func scopeCommand() Command {
	return Command{
		Name: "scope", Theme: Share, Args: "<name> [scope]", Short: "Show or set who may use a service",
		Long: `A scope is peer (who deployed it), mesh (everybody), peers:NAME,NAME, group:NAME,
groups:A,B or role:NAME. Sessions choose their groups and roles themselves unless
the mesh's admins do, so those three keep nobody out who wants in.`,
		Examples: []string{"claudemesh scope db", "claudemesh scope db mesh", "claudemesh scope db peers:bob,carol"},
		Mesh:     true, JSON: true, Output: wire.MCPScopeResult{},
		Complete: map[string]Completer{"name": serviceNames, "scope": Values("peer", "mesh", "peers:", "group:", "groups:", "role:")},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req := wire.MCPScope{ServerName: args[0]}
			if len(args) > 1 {
				scope, err := wire.ParseScope(args[1])
				if err != nil {
					return Usagef("%v", err)
				}
				req.Scope = &scope
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, req)
				switch {
				case err != nil:
					return noService(err)
				case env.JSON:
					return env.Out().JSON(res)
				}
				env.Out().Printf("%s of %s, deployed by %s, is for %s\n", Styled{Bold, res.ServerName}, c.Mesh().Slug, res.DeployedBy, scopeText(res.Scope))
				return nil
			})
		},
	}
}

// scopeText is a scope as it is written, with what it means where that is not plain.
func scopeText(s wire.Scope) string {
	switch s.Kind {
	case wire.ScopePeer, "":
		return "peer: who deployed it"
	case wire.ScopeMesh:
		return "mesh: everybody"
	}
	return s.String()
}

func catalogCommand() Command {
	return Command{
		Name: "catalog", Theme: Share, Short: "List the services that run on the broker and that you may use",
		Examples: []string{"claudemesh catalog", "claudemesh catalog --json"},
		Mesh:     true, JSON: true, Output: []wire.CatalogEntry{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, wire.MCPCatalog{})
				if err != nil {
					return err
				}
				noteServices(env, c, func([]string) (names []string) {
					for _, s := range res.Services {
						names = append(names, s.Name)
					}
					return names
				})
				if env.JSON {
					return env.Out().JSON(append([]wire.CatalogEntry{}, res.Services...))
				}
				printCatalog(env, c.Mesh().Slug, res.Services)
				return nil
			})
		},
	}
}

func printCatalog(env *Env, mesh string, services []wire.CatalogEntry) {
	table := env.Out().Table("SERVICE", "STATUS", "TOOLS", "FOR", "BY", "FROM", "RUNTIME", "SINCE", "DESCRIPTION", "ERROR")
	for _, s := range services {
		style, runtime := Plain, ""
		switch s.Status {
		case wire.ServiceRunning:
			style = Green
		case wire.ServiceFailed, wire.ServiceCrashed:
			style = Red
		}
		if s.Runtime != nil {
			runtime = *s.Runtime
		}
		table.Row(Styled{Bold, s.Name}, Styled{style, string(s.Status)}, s.ToolCount, s.Scope.String(), s.DeployedBy, string(s.SourceType), runtime, s.CreatedAt, s.Description, s.Error)
	}
	table.Flush()
	if len(services) == 0 {
		env.Err().Printf("%s has no services that you may use. `claudemesh deploy` makes one.\n", mesh)
	}
}
