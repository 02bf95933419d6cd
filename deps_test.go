package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A direction says which packages of the project a package may import. A
// package without a direction has no place in the project. Names are those
// below the module, ours is the root.
type direction struct {
	pkg     string
	imports []string
	why     string
}

const ours = "."

func directions() []direction {
	return []direction{
		{"wire", nil, "both ends speak it, so it can lean on neither; a frame's shape must not depend on who handles it"},
		{"seal", nil, "what is signed and sealed is read and judged alone, without the program around it"},
		{"store", nil, "SQL is asked to keep and find, not to decide: it knows rows, no frames and no keys"},
		{"cron", nil, "when a schedule is due is a promise to its owner: the libraries tried take ranges that go backwards and steps of nothing, and leave open what happens when the clocks change"},
		{"templates", nil, "what a mesh is set up with is text; who sets it up, and where, is none of its business"},
		{"skillfile", []string{"wire"}, "who shares a skill and who deploys a bundle are to read one file alike, at either end"},
		{"broker", []string{"store", "wire", "seal", "cron", "broker/runner", "broker/runner/confine", "broker/runner/source", "skillfile", "templates"}, "the server is all that opens a mesh on disk"},
		{"broker/runner/source", nil, "what is made of a stranger's archive or repository is judged alone"},
		{"broker/runner", []string{"broker/runner/confine", "broker/runner/source", "toolserver", "wire"}, "it keeps services running; whose they are, and who may call them, is the broker's to know"},
		{"broker/runner/confine", nil, "what keeps programs of others in is judged alone, and starts again as the first process of each"},
		{"peer/share", nil, "what strangers may read of a machine is judged alone, without the program around it"},
		{"toolserver", []string{"wire"}, "an MCP server is spoken to alike by who lends it and by who runs it, and knows neither"},
		{"peer/lend", []string{"peer", "toolserver", "wire"}, "what runs programs of the user for others is judged alone"},
		{"peer", []string{"peer/share", "wire", "seal"}, "a peer knows the broker by its wire alone, so that any broker will do"},
		{"peer/cli", []string{"peer", "peer/lend", "peer/share", "wire", "seal", "skillfile", "templates"}, "commands print what a connection brings"},
		{"peer/tools", []string{"peer", "peer/lend", "peer/share", "wire", "seal"}, "tools speak MCP on one side and use a connection on the other"},
		{"peer/bench", []string{"peer", "peer/cli", "wire", "seal"}, "what measures a broker must not share a process with it"},
		{"simulate", []string{"peer", "peer/bench", "peer/cli", "wire", "seal"}, "a simulation is peers that a script moves: it knows the broker as they do, and starts one as any user would"},
		{"launch", []string{"peer", "wire"}, "what touches the host program needs the configuration, and the wire's words for what a session does"},
		{ours, []string{"broker", "broker/runner/confine", "peer", "peer/cli", "peer/bench", "peer/tools", "simulate", "launch", "templates"}, "main only joins the two sides"},
	}
}

// A ban holds for everything that a package reaches, through whatever imports.
type ban struct {
	pkg, never, why string
}

func bans() []ban {
	return []ban{
		{"broker", "claudemesh/peer", "a broker that needs a peer's code trusts a peer's view"},
		{"peer", "claudemesh/broker", "a peer that needs the broker's code works with that version of it only"},
		{"peer", "claudemesh/store", "a peer keeps no mesh"},
		{"peer", "modernc.org/sqlite", "it costs 6 MB and start-up time in every hook and command, for nothing"},
		{"peer/cli", "claudemesh/broker", "the table of commands takes serve from main"},
		{"peer/tools", "modernc.org/sqlite", "an MCP server starts with every session and must answer at once"},
		{"simulate", "claudemesh/broker", "its broker is a process of its own, which a scenario may kill"},
		{"launch", "claudemesh/broker", "starting the host program needs no server"},
	}
}

// A library says which packages may import a module of others directly, and what for.
type library struct {
	module string
	pkgs   []string
	why    string
}

func libraries() []library {
	return []library{
		{"modernc.org/sqlite", []string{"store"}, "a database in the process and without cgo; one package knows SQL"},
		{"golang.org/x/sys", []string{"store", "peer", "peer/cli", "broker/runner/confine", "toolserver"}, "locks on files, who is at the other end of a local socket, terminals that show nothing, and what the system confines programs by and how they end"},
		{"github.com/coder/websocket", []string{"broker", "peer"}, "the socket, at its two ends"},
		{"golang.org/x/time", []string{"broker"}, "the token bucket of the rate limits"},
		{"github.com/prometheus/client_golang", []string{"broker"}, "only a server is watched by its metrics"},
		{"golang.org/x/crypto", []string{"seal"}, "NaCl's boxes; everyone else asks seal"},
		{"filippo.io/edwards25519", []string{"seal"}, "from a signing key to the box key that belongs to it"},
		{"github.com/mark3labs/mcp-go", []string{"peer/tools", "toolserver"}, "the handshake, revisions and shapes of MCP"},
		{"github.com/fsnotify/fsnotify", []string{"peer/tools"}, "a session follows the configuration while it runs"},
		{"github.com/peterbourgon/ff/v3", []string{"peer/cli"}, "flags from the environment and from a file"},
		{"charm.land/huh/v2", []string{ours}, "what launch asks a person at a terminal"},
		{"go.yaml.in/yaml/v3", []string{"skillfile", "simulate", "templates"}, "the front matter of skills, the scenarios and the templates, that people write; kept by the YAML organisation, and here already below the metrics"},
		{"golang.org/x/text", []string{"broker/runner/source", "store"}, "which names of files are one to systems that normalise them, and which tags to people"},
		{"golang.org/x/term", []string{"peer/cli"}, "whether a person reads the output, and how wide"},
	}
}

// goPackage is what `go list -json` tells of a package.
type goPackage struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct {
		Path string
		Main bool
	}
}

// place returns the name of the package below the module.
func (p *goPackage) place() string {
	if below, ok := strings.CutPrefix(p.ImportPath, module+"/"); ok {
		return below
	}
	return ours
}

const module = "claudemesh"

// goList lists the project's packages and all that they reach on a system, by
// import path.
func goList(t *testing.T, goos string) map[string]*goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,Deps,Module", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	pkgs := make(map[string]*goPackage)
	for dec := json.NewDecoder(bytes.NewReader(output(t, cmd))); ; {
		p := new(goPackage)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}

// output runs a command that must succeed.
func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return out
}

func TestImportsFollowTheLayers(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			pkgs := goList(t, goos)
			for _, p := range pkgs {
				if p.Module == nil || !p.Module.Main {
					continue
				}
				for _, fault := range slices.Concat(directionFaults(p, pkgs), banFaults(p), libraryFaults(p, pkgs)) {
					t.Error(fault)
				}
			}
		})
	}
}

func directionFaults(p *goPackage, pkgs map[string]*goPackage) (faults []string) {
	i := slices.IndexFunc(directions(), func(d direction) bool { return d.pkg == p.place() })
	if i < 0 {
		return []string{fmt.Sprintf("%s has no line in directions: say what it may import, and why", p.place())}
	}
	d := directions()[i]
	for _, path := range p.Imports {
		if q := pkgs[path]; q != nil && q.Module != nil && q.Module.Main && !slices.Contains(d.imports, q.place()) {
			faults = append(faults, fmt.Sprintf("%s imports %s, and may import %q: %s", d.pkg, q.place(), d.imports, d.why))
		}
	}
	return faults
}

func banFaults(p *goPackage) (faults []string) {
	for _, b := range bans() {
		if !within(p.place(), b.pkg) {
			continue
		}
		for _, dep := range p.Deps {
			if within(dep, b.never) {
				faults = append(faults, fmt.Sprintf("%s reaches %s: %s", p.place(), dep, b.why))
			}
		}
	}
	return faults
}

func libraryFaults(p *goPackage, pkgs map[string]*goPackage) (faults []string) {
	for _, path := range p.Imports {
		q := pkgs[path]
		if q == nil || q.Standard || q.Module == nil || q.Module.Main {
			continue
		}
		i := slices.IndexFunc(libraries(), func(l library) bool { return l.module == q.Module.Path })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s imports %s, whose module is not in libraries: add it with its reason, or do without it", p.place(), path))
			continue
		}
		if l := libraries()[i]; !slices.Contains(l.pkgs, p.place()) {
			faults = append(faults, fmt.Sprintf("%s imports %s, which is for %q: %s", p.place(), path, l.pkgs, l.why))
		}
	}
	return faults
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// TestRulesHaveTeeth holds the three checks to packages that break them.
func TestRulesHaveTeeth(t *testing.T) {
	pkgs := make(map[string]*goPackage)
	for line := range strings.Lines(`
		claudemesh/wire claudemesh
		claudemesh/store claudemesh
		claudemesh/peer claudemesh
		modernc.org/sqlite modernc.org/sqlite
		example.com/left example.com/left`) {
		if f := strings.Fields(line); len(f) == 2 {
			pkgs[f[0]] = &goPackage{ImportPath: f[0]}
			pkgs[f[0]].Module = &struct {
				Path string
				Main bool
			}{f[1], f[1] == module}
		}
	}
	for _, c := range []struct{ pkg, imports, want string }{
		{"claudemesh/wire", "claudemesh/store", "wire imports store"},
		{"claudemesh/broker", "claudemesh/peer", "broker reaches claudemesh/peer"},
		{"claudemesh/peer/cli", "modernc.org/sqlite", "peer/cli reaches modernc.org/sqlite"},
		{"claudemesh/seal", "modernc.org/sqlite", "seal imports modernc.org/sqlite, which is for"},
		{"claudemesh/broker", "example.com/left", "whose module is not in libraries"},
		{"claudemesh/odds", "claudemesh/wire", "odds has no line in directions"},
		{"claudemesh", "claudemesh/store", ". imports store"},
	} {
		p := &goPackage{ImportPath: c.pkg, Imports: []string{c.imports}, Deps: []string{c.imports}}
		faults := strings.Join(slices.Concat(directionFaults(p, pkgs), banFaults(p), libraryFaults(p, pkgs)), "\n")
		if !strings.Contains(faults, c.want) {
			t.Errorf("%s importing %s: no fault with %q in:\n%s", c.pkg, c.imports, c.want, faults)
		}
	}
}
