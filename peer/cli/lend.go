package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"

	"claudemesh/peer"
	"claudemesh/peer/lend"
	"claudemesh/wire"
)

// lendFlags are the flags of lend.
type lendFlags struct {
	url, description string
	persistent, save bool
}

// lentJSON says what lend offers, once it does.
type lentJSON struct {
	Server string   `json:"server"` // name of the tool server
	Mesh   string   `json:"mesh"`   // slug
	Tools  []string `json:"tools"`  // names
}

func lendCommand() Command {
	var f lendFlags
	return Command{
		Name: "lend", Theme: Share, Args: "<name> [command]...", Short: "Lend an MCP server of yours to the mesh",
		Long: `Runs the server and answers the calls of all members until it is interrupted. The
server is the command after --, an endpoint given by --url, or the entry of that
name in toolServers of the configuration, to which --save adds it. The command is
run without a shell, in your home directory, and sees little of the environment.

Whoever is in the mesh can call its tools with your rights on this machine: lend
only what you would let them do.`,
		Examples: []string{"claudemesh lend files -- npx -y @modelcontextprotocol/server-filesystem /srv/docs", "claudemesh lend db --url http://127.0.0.1:8080/mcp --save", "claudemesh lend db --persistent"},
		Mesh:     true, JSON: true, Output: lentJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.url, "url", "", "lend what is at this `url` (streamable HTTP)")
			fs.StringVar(&f.description, "description", "", "say in a `line` what it is for")
			fs.BoolVar(&f.persistent, "persistent", false, "keep the offer while nobody runs it: it is back with your next session")
			fs.BoolVar(&f.save, "save", false, "keep the server in the configuration, for sessions to lend it too")
		},
		Run: func(ctx context.Context, env *Env, args []string) error { return f.lend(ctx, env, args) },
	}
}

// server is what the command line names, and whether it names one.
func (f *lendFlags) server(command []string) (peer.ToolServer, bool, error) {
	s := peer.ToolServer{URL: f.url, Description: f.description}
	switch {
	case f.url != "" && len(command) > 0:
		return s, false, Usagef("give a command or --url, not both")
	case len(command) > 0:
		s.Command, s.Args = command[0], command[1:]
	case f.url == "" && f.save:
		return s, false, Usagef("--save needs a command or --url")
	}
	return s, f.url != "" || len(command) > 0, nil
}

func (f *lendFlags) lend(ctx context.Context, env *Env, args []string) error {
	name := args[0]
	if !wire.ValidServerName(name) {
		return Usagef("name %s: use 1 to 64 letters, digits, - and _", name)
	}
	given, isGiven, err := f.server(args[1:])
	if err != nil {
		return err
	}
	conf, mesh, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	if f.save {
		if err := saveServer(ctx, conf.UserDir(), mesh.MeshID, name, given); err != nil {
			return err
		}
	}
	source := func(string) (peer.ToolServer, bool, error) {
		if isGiven {
			return given, true, nil
		}
		return conf.ToolServer(mesh.MeshID, name)
	}
	s, ok, err := source(name)
	if err != nil {
		return err
	}
	if !ok {
		return WithHint(fmt.Errorf("the configuration has no tool server %s for %s", name, mesh.Slug), "give its command: `claudemesh lend %s -- <command>`", name)
	}
	return f.host(ctx, env, mesh, name, cmp.Or(f.description, s.Description), source)
}

// saveServer puts a server into the configuration.
func saveServer(ctx context.Context, dir, meshID, name string, s peer.ToolServer) error {
	return peer.UpdateConfig(ctx, dir, func(c *peer.Config) error {
		for i := range c.Meshes {
			if m := &c.Meshes[i]; m.MeshID == meshID {
				if m.ToolServers == nil {
					m.ToolServers = make(map[string]peer.ToolServer)
				}
				m.ToolServers[name] = s
				return nil
			}
		}
		return errors.New("the mesh was left")
	})
}

// host answers calls until ctx ends.
func (f *lendFlags) host(ctx context.Context, env *Env, mesh *peer.Mesh, name, description string, source lend.Source) error {
	changed := make(chan struct{}, 1)
	lender := lend.New(source, env.Logger(), func(string) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer lender.Close()
	done := env.Progress("starting " + name)
	tools, err := lender.Tools(ctx, name)
	done()
	if err != nil {
		return err
	}
	conf, err := env.Config()
	if err != nil {
		return err
	}
	opts, err := env.options(conf, mesh)
	if err != nil {
		return err
	}
	// A session of its own: it is no part of one that it was started in, whose
	// connection it would take over.
	opts.SessionID, opts.SessionKey = "lend-"+rand.Text(), peer.Options{}.SessionKey
	opts.PeerType, opts.Channel = "connector", "lend"
	opts.ToolCall = func(ctx context.Context, call peer.ToolCall) (wire.Value, error) {
		if call.Server != name {
			return nil, errors.New("this host does not run that server")
		}
		return lender.Call(ctx, name, call.Tool, call.Args)
	}
	client, err := dial(ctx, env, opts)
	if err != nil {
		return err
	}
	defer hangUp(ctx, client)
	reg := wire.MCPRegister{ServerName: name, Description: description, Tools: tools, Persistent: f.persistent}
	if _, err := client.RegisterServer(ctx, reg); err != nil {
		return explainMesh(err, mesh)
	}
	if err := printLent(env, mesh.Slug, &reg); err != nil {
		return err
	}
	return attendServer(ctx, env, client, lender, reg, changed)
}

func printLent(env *Env, mesh string, reg *wire.MCPRegister) error {
	out := lentJSON{Server: reg.ServerName, Mesh: mesh, Tools: []string{}}
	for _, t := range reg.Tools {
		out.Tools = append(out.Tools, t.Name)
	}
	if env.JSON {
		return env.Out().JSONLine(out)
	}
	env.Out().Printf("Lending %s to %s with %s, until you interrupt this.\n", Styled{Bold, out.Server}, mesh, many(len(out.Tools), "tool"))
	return nil
}

// attendServer offers the tools anew when they change, until ctx ends or the
// client does for good.
func attendServer(ctx context.Context, env *Env, client *peer.Client, lender *lend.Lender, reg wire.MCPRegister, changed <-chan struct{}) error {
	for {
		state := client.Changed()
		if s := client.Status(); s.State == peer.StateClosed {
			return s.Err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-state:
		case <-changed:
			tools, err := lender.Tools(ctx, reg.ServerName)
			if err == nil {
				reg.Tools = tools
				_, err = client.RegisterServer(ctx, reg)
			}
			if err != nil && ctx.Err() == nil {
				env.Err().Printf("The changed tools are not offered: %v\n", err)
			}
		}
	}
}
