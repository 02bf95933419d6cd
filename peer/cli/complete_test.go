package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChild is this binary as the program of another process, with echo and
// the test's tool among its commands.
func TestChild(t *testing.T) {
	if os.Getenv("CHILD_CONFIG") == "" {
		t.Skip("runs as a child of other tests")
	}
	i := slices.Index(os.Args, "--")
	env := Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Args: os.Args[i+1:], ConfigDir: os.Getenv("CHILD_CONFIG"), Now: time.Now}
	os.Exit(Main(t.Context(), env, []Command{echo(), group()}))
}

func TestCompletionsComeFromTheTable(t *testing.T) {
	f := newFixture(t)
	f.join(t, "home", "work", "x$(reboot)")
	for line, want := range map[string]string{
		"ec|":                       "echo",
		"lis|":                      "list",
		"__|":                       "",
		"--v|":                      "--version",
		"tool |":                    "revoke pass",
		"tool p|":                   "pass",
		"nosuch |":                  "",
		"echo |":                    "@all bob",
		"echo @|":                   "@all",
		"echo bob |":                "",
		"echo --pri|":               "--priority",
		"echo bob -|":               "--in --json --mesh --priority --yes --help",
		"echo --priority |":         "now next low",
		"echo --priority=l|":        "--priority=low",
		"echo --priority now --m|":  "--mesh",
		"echo --mesh |":             "home work",
		"echo --mesh=h|":            "--mesh=home",
		"echo -y --mesh home b|":    "bob",
		"echo -- --p|":              "",
		"echo --mesh home bob --i|": "--in",
		"completion |":              "bash zsh fish",
		"help ver|":                 "version",
		"version --j|":              "--json",
	} {
		words := strings.Split(strings.TrimSuffix(line, "|"), " ")
		code := f.run(t, []Command{echo(), group()}, append([]string{"__complete"}, words...)...)
		var got []string
		for row := range strings.Lines(f.stdout.String()) {
			value, _, _ := strings.Cut(row, "\t")
			got = append(got, value)
		}
		if code != 0 || strings.Join(got, " ") != want {
			t.Errorf("%q: exit %d, %q, want %q", line, code, got, want)
		}
	}
}

// childProgram writes a script called claudemesh that runs TestChild.
func childProgram(t *testing.T, configDir string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), program)
	script := "#!/bin/sh\nCHILD_CONFIG='" + configDir + "' exec '" + os.Args[0] + "' -test.run='^TestChild$' -- \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBashCompletesWithTheScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	f := newFixture(t)
	f.join(t, "home", "work")
	name := childProgram(t, f.ConfigDir)
	// What bash does when the tab key is pressed, with its own splitting into
	// COMP_WORDS left out, because the script does not use it.
	const press = `
source <("$1" completion bash) && complete -p claudemesh >/dev/null || exit 1
for line in "${@:2}"; do
    COMP_LINE="$1 $line"; COMP_POINT=${#COMP_LINE}
    _claudemesh
    echo $(compgen -W "${COMPREPLY[*]}")
done`
	tests := []struct{ line, want string }{
		{"li", "list"},
		{"echo --mesh ", "home work"},
		{"echo --mesh=w", "work"},
		{"echo --priority=", "now next low"},
		{"echo @a", "all"},
		{"tool ", "revoke pass"},
		{"completion   b", "bash"},
		{"nosuch ", ""},
	}
	args := []string{"--norc", "-c", press, "bash", name}
	for _, tt := range tests {
		args = append(args, tt.line)
	}
	out, err := exec.CommandContext(t.Context(), bash, args...).Output()
	got := strings.Split(string(out), "\n")
	if err != nil || len(got) != len(tests)+1 {
		t.Fatalf("%q, %v", out, err)
	}
	for i, tt := range tests {
		if got[i] != tt.want {
			t.Errorf("%q: %q, want %q", tt.line, got[i], tt.want)
		}
	}
}

func TestOtherShellsAcceptTheirScripts(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("not installed here")
			}
			f := newFixture(t)
			f.run(t, nil, "completion", shell)
			cmd := exec.CommandContext(t.Context(), path, "-n")
			cmd.Stdin = &f.stdout
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestFishCompletesWithTheScript(t *testing.T) {
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("no fish here")
	}
	f := newFixture(t)
	f.join(t, "home", "work")
	name := childProgram(t, f.ConfigDir)
	script := "set -x PATH " + filepath.Dir(name) + " $PATH; claudemesh completion fish | source; complete -C 'claudemesh echo --mesh '"
	out, err := exec.CommandContext(t.Context(), fish, "--no-config", "-c", script).Output()
	if err != nil || !strings.Contains(string(out), "home") || !strings.Contains(string(out), "work") {
		t.Errorf("%q, %v", out, err)
	}
}
