package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// failureLines is how many lines of its log are shown of a service that failed.
const failureLines = 20

// deployedJSON is what became of a deployment or an update.
type deployedJSON struct {
	Mesh      string             `json:"mesh"`                // slug
	Server    string             `json:"server"`              // name of the service
	Status    wire.ServiceStatus `json:"status"`              // running, failed or stopped
	Tools     []string           `json:"tools"`               // names
	Error     string             `json:"error,omitempty"`     // why it does not run
	Kept      bool               `json:"kept,omitempty"`      // the version before runs on
	Commit    string             `json:"commit,omitempty"`    // of a git source
	Previous  string             `json:"previous,omitempty"`  // the commit before
	VaultKeys []string           `json:"vaultKeys,omitempty"` // entries of the vault that it was given
	Log       []string           `json:"log,omitempty"`       // the end of the log of one that failed
}

// deployFlags are the flags of deploy.
type deployFlags struct {
	npx, uvx, git, zip, dir, path string
	branch, authFile, authEnv     string
	env, envFiles, allow          repeated
	runtime, scope, description   string
	memory                        int
	cpus                          float64
}

func deployCommand() Command {
	var f deployFlags
	return Command{
		Name: "deploy", Theme: Share, Args: "<name> [argument]...", Short: "Have the broker run an MCP server for the mesh, around the clock",
		Long: `The broker fetches or unpacks the source, installs what it needs, starts it and keeps it
running. One source is given: --npx, --uvx, --git, --zip, --dir or --path. A name that is
yours already is replaced. The command waits for the outcome, and ends with 1 if the
service does not run; the broker goes on with it when the command is interrupted.

What follows -- is given to the service as its arguments; it starts in the directory that
it was installed in, and has $HOME for files of its own, which {home} stands for in its
arguments: your shell would put your own in the place of $HOME.

A service has the variables of --env and no others, no network but what --allow says, and
only you may use it unless --scope says more. Its tools appear in the sessions of all who
may, and ` + "`claudemesh call`" + ` calls them.

Other users of this machine can see what stands in a command line: give secrets as
$vault:KEY, which claudemesh vault set keeps, by --env-file, or as --env NAME alone, which
takes the value of this command's own environment. The broker's operator can read what a
service is given.`,
		Examples: []string{
			"claudemesh deploy everything --npx @modelcontextprotocol/server-everything",
			"claudemesh deploy files --npx @modelcontextprotocol/server-filesystem -- {home}",
			"claudemesh deploy time --uvx mcp-server-time --scope mesh",
			"claudemesh deploy db --git https://github.com/team/db-mcp --branch main --env 'DB_URL=$vault:db' --allow db.example.com:5432 --scope group:backend",
			"claudemesh deploy notes --dir . --memory 512",
		},
		Mesh: true, JSON: true, Output: deployedJSON{},
		Flags: f.define,
		Complete: map[string]Completer{
			"name": serviceNames, "--runtime": Values("node", "python", "bun"), "--scope": Values("peer", "mesh", "peers:", "group:", "groups:", "role:"), "--allow": Values("*"),
		},
		Run: func(ctx context.Context, env *Env, args []string) error { return f.run(ctx, env, args[0], args[1:]) },
	}
}

func (f *deployFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.npx, "npx", "", "run this npm `package`, with @version where wanted")
	fs.StringVar(&f.uvx, "uvx", "", "run this Python `package`")
	fs.StringVar(&f.git, "git", "", "clone it from this https `url`")
	fs.StringVar(&f.branch, "branch", "", "clone this `branch`")
	fs.StringVar(&f.authFile, "auth-file", "", "read the token for the repository from `file`")
	fs.StringVar(&f.authEnv, "auth-env", "", "take the token for the repository from this `variable`")
	fs.StringVar(&f.zip, "zip", "", "upload this `file`, an archive of the project")
	fs.StringVar(&f.dir, "dir", "", "pack and upload this `directory`, without node_modules, .git and the like")
	fs.StringVar(&f.path, "path", "", "run it from this `directory` of the broker's machine, if its operator allows that")
	fs.Var(&f.env, "env", "give it a variable, `NAME=VALUE`, NAME=$vault:KEY, or NAME alone; may be repeated")
	fs.Var(&f.envFiles, "env-file", "read variables from `file`, a NAME=VALUE a line, - for standard input; may be repeated")
	choiceVar(fs, &f.runtime, "runtime", "", "run it with `what`: node, python or bun; found out if not given", "node", "python", "bun")
	fs.IntVar(&f.memory, "memory", 0, "let it have so many `MB` of memory; 256 if not given")
	fs.Float64Var(&f.cpus, "cpus", 0, "let it have so many CPUs, a `number`; a fair share if not given")
	fs.Var(&f.allow, "allow", "let it reach `host` or host:port, or * for all; may be repeated")
	fs.StringVar(&f.scope, "scope", "", "let these use it, a `scope`: peer (you), mesh, peers:NAME,NAME, group:NAME, groups:A,B or role:NAME")
	fs.StringVar(&f.description, "description", "", "say in a `line` what it is for")
}

// request is what the flags say, but for what has to be uploaded first.
func (f *deployFlags) request(env *Env, name string, args []string) (req wire.MCPDeploy, err error) {
	req = wire.MCPDeploy{ServerName: name, Description: f.description}
	if !wire.ValidServerName(name) {
		return req, Usagef("name %s: use 1 to 64 letters, digits, - and _", name)
	}
	if req.Source, err = f.source(env); err != nil {
		return req, err
	}
	req.Config = wire.ServiceConfig{Args: args, Runtime: f.runtime, MemoryMB: f.memory, CPUs: f.cpus, NetworkAllow: f.allow}
	if f.memory < 0 || f.cpus < 0 {
		return req, Usagef("--memory and --cpus cannot be negative")
	}
	if f.scope != "" {
		scope, err := wire.ParseScope(f.scope)
		if err != nil {
			return req, Usagef("--scope: %v", err)
		}
		req.Scope = &scope
	}
	req.Config.Env, err = readVariables(env, f.envFiles, f.env)
	return req, err
}

// source is the one source that is given.
func (f *deployFlags) source(env *Env) (s wire.ServiceSource, err error) {
	given := 0
	for _, g := range []struct {
		value string
		is    wire.ServiceSource
	}{
		{f.npx, wire.ServiceSource{Kind: wire.SourceNpx, Package: f.npx}},
		{f.uvx, wire.ServiceSource{Kind: wire.SourceUvx, Package: f.uvx}},
		{f.git, wire.ServiceSource{Kind: wire.SourceGit, URL: f.git, Branch: f.branch}},
		{f.zip + f.dir, wire.ServiceSource{Kind: wire.SourceZip}},
		{f.path, wire.ServiceSource{Kind: wire.SourcePath, Path: f.path}},
	} {
		if g.value != "" {
			given++
			s = g.is
		}
	}
	switch {
	case given != 1, f.zip != "" && f.dir != "":
		return s, Usagef("give one source: --npx, --uvx, --git, --zip, --dir or --path")
	case f.git == "" && f.branch+f.authFile+f.authEnv != "":
		return s, Usagef("--branch, --auth-file and --auth-env go with --git")
	case f.authFile != "" && f.authEnv != "":
		return s, Usagef("--auth-file and --auth-env exclude each other")
	}
	s.Auth, err = sourceToken(env, f.authFile, f.authEnv)
	return s, err
}

func (f *deployFlags) run(ctx context.Context, env *Env, name string, args []string) error {
	req, err := f.request(env, name, args)
	if err != nil {
		return err
	}
	archive, err := f.archive(env, name)
	if err != nil {
		return err
	}
	defer archive.close()
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		keys, err := c.FillSecrets(ctx, &req)
		if err != nil {
			return err
		}
		if req.Source.FileID, err = archive.upload(ctx, env, c); err != nil {
			return err
		}
		st, err := followBuild(env, name, func(told func(wire.MCPDeployStatus)) (wire.MCPDeployStatus, error) {
			return c.Deploy(ctx, req, told)
		})
		if _, refused := errors.AsType[*wire.Error](err); err == nil || refused {
			archive.withdraw(ctx, c, req.Source.FileID)
		}
		if err != nil {
			return unknownOutcome(env, err, name)
		}
		noteService(env, c, name)
		return printOutcome(ctx, env, c, &st, keys, "deployed")
	})
}

// followBuild runs what builds a service and shows how far it is: a person the
// state and the time, others a line for each state.
func followBuild(env *Env, name string, run func(told func(wire.MCPDeployStatus)) (wire.MCPDeployStatus, error)) (wire.MCPDeployStatus, error) {
	doing := map[wire.ServiceStatus]string{wire.ServiceBuilding: "fetching and building " + name, wire.ServiceInstalling: "installing what " + name + " needs"}
	done := env.Progress("asking the broker for " + name)
	last := wire.ServiceStatus("")
	st, err := run(func(s wire.MCPDeployStatus) {
		if s.Status == last {
			return
		}
		last = s.Status
		done()
		if !env.Err().Terminal() {
			env.Err().Printf("%s: %s\n", name, s.Status)
		}
		done = env.Progress(cmp.Or(doing[s.Status], name+": "+string(s.Status)))
	})
	done()
	return st, err
}

// unknownOutcome says with an error what becomes of what the broker has begun.
func unknownOutcome(env *Env, err error, name string) error {
	if errors.Is(err, peer.ErrTimeout) || errors.Is(err, peer.ErrLost) || errors.Is(err, context.Canceled) {
		env.Err().Printf("The broker goes on with it: `claudemesh catalog` and `claudemesh logs %s` say what becomes of it.\n", name)
	}
	return err
}

// attempt returns the lines of a log that are of the last build or update, which
// begin with the broker saying so; all where it does not.
func attempt(lines []string) []string {
	for i, line := range slices.Backward(lines) {
		if line == "[broker] "+string(wire.ServiceBuilding) {
			return lines[i:]
		}
	}
	return lines
}

// printOutcome says what became of a deployment or an update. Its error is that
// the service does not run as it was to.
func printOutcome(ctx context.Context, env *Env, c *peer.Client, st *wire.MCPDeployStatus, keys []string, did string) error {
	out := deployedJSON{
		Mesh: c.Mesh().Slug, Server: st.ServerName, Status: st.Status, Tools: []string{}, Error: st.Error, Kept: st.Kept,
		Commit: st.Commit, Previous: st.Previous, VaultKeys: keys,
	}
	for _, t := range st.Tools {
		out.Tools = append(out.Tools, t.Name)
	}
	ok := st.Status == wire.ServiceRunning
	if !ok {
		if logs, err := peer.Call(ctx, c, wire.MCPLogs{ServerName: st.ServerName, Lines: failureLines}); err == nil {
			out.Log = attempt(logs.Lines)
		}
	}
	switch {
	case env.JSON:
		if err := env.Out().JSON(out); err != nil {
			return err
		}
	case ok:
		env.Out().Printf("%s is %s in %s and runs, with %s: %s\n", Styled{Bold, out.Server}, did, out.Mesh, many(len(out.Tools), "tool"), strings.Join(out.Tools, ", "))
		if st.Commit != "" {
			env.Out().Printf("commit %s\n", st.Commit)
		}
	default:
		for _, line := range out.Log {
			if st.Error == "" || !strings.HasPrefix(line, "[broker] ") || !strings.HasSuffix(line, ": "+st.Error) { // the error of this command
				env.Err().Printf("  %s\n", Styled{Dim, line})
			}
		}
	}
	if ok {
		return nil
	}
	err := fmt.Errorf("%s is not %s: %s", st.ServerName, did, cmp.Or(st.Error, "it is "+string(st.Status)))
	if st.Kept {
		err = fmt.Errorf("%w; the version before it runs on", err)
	}
	return WithHint(err, "`claudemesh logs %s` shows all it has written", st.ServerName)
}
