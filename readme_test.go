package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A shellBlock is a block of the README marked sh. A comment before it says
// where its lines are typed:
//
//	<!-- terminal: NAME -->                each line must succeed
//	<!-- terminal: NAME, shows: TEXT -->   and TEXT must be printed
//	<!-- terminal: NAME, until: TEXT -->   or the last one runs on, once TEXT is printed
//
// The one block without a comment is the command that runs all tests.
type shellBlock struct {
	line     int // of the README
	terminal string
	until    string
	shows    string
	commands []string
}

const testsCommand = "go test ./..."

// TestREADMEIsTrue types what the README tells to type, in a fresh home. A
// broker finds a free port by itself, LINK is the link that it prints, and
// `go run .` the program.
func TestREADMEIsTrue(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh on this machine")
	}
	home := t.TempDir()
	env := readmeEnv(t, home)
	terminals := make(map[string]*terminal)
	var link string
	for _, b := range readmeBlocks(t) {
		if b.terminal == "" {
			continue
		}
		term := terminals[b.terminal]
		if term == nil {
			term = openTerminal(t, env)
			terminals[b.terminal] = term
		}
		read := term.said.Len()
		for i, c := range b.commands {
			c = strings.ReplaceAll(strings.ReplaceAll(c, "go run .", module), "LINK", link)
			where := fmt.Sprintf("README.md:%d", b.line+i+1)
			if b.until != "" && i == len(b.commands)-1 {
				term.runUntil(where, c, b.until)
			} else {
				term.run(where, c)
			}
		}
		if said := term.said.String()[read:]; !strings.Contains(said, b.shows) {
			t.Errorf("README.md:%d: no %q in\n%s", b.line, b.shows, said)
		}
		if found := regexp.MustCompile(`ic://join/\S+`).FindString(term.said.String()); found != "" {
			link = found
		}
	}
}

// TestREADMENamesTheTestCommand holds the command to the form that CI reads
// and make has.
func TestREADMENamesTheTestCommand(t *testing.T) {
	blocks := readmeBlocks(t)
	unmarked := slices.DeleteFunc(blocks, func(b shellBlock) bool { return b.terminal != "" })
	if len(unmarked) != 1 || !slices.Equal(unmarked[0].commands, []string{testsCommand}) {
		t.Errorf("blocks without a comment that says where they are typed: %+v; want one, %q", unmarked, testsCommand)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^test:.*\n\t` + regexp.QuoteMeta(testsCommand) + `$`).Match(makefile) {
		t.Errorf("make test does not run %q", testsCommand)
	}
}

// TestGoRunStartsTheProgram is the quick start's `go run .` as it stands.
func TestGoRunStartsTheProgram(t *testing.T) {
	out := output(t, exec.CommandContext(t.Context(), "go", "run", ".", "version"))
	if !strings.HasPrefix(string(out), module+" ") {
		t.Errorf("go run . version prints %q", out)
	}
}

// TestREADMELinksLead follows the relative links of the documents.
func TestREADMELinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	eachFile(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".md" {
			return
		}
		for _, m := range link.FindAllSubmatch(data, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	})
}

// readmeBlocks reads the blocks marked sh.
func readmeBlocks(t *testing.T) (blocks []shellBlock) {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`^<!-- terminal: ([a-z]+)(?:, until: (.*)|, shows: (.*))? -->$`)
	inside, before := false, ""
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\n")
		switch {
		case inside && line == "```":
			inside = false
		case inside:
			b := &blocks[len(blocks)-1]
			b.commands = append(b.commands, line)
		case line == "```sh":
			b := shellBlock{line: n}
			if m := comment.FindStringSubmatch(before); m != nil {
				b.terminal, b.until, b.shows = m[1], m[2], m[3]
			}
			blocks, inside = append(blocks, b), true
		}
		before = line
	}
	return blocks
}

// readmeEnv is the environment of a new user with Go on this machine.
func readmeEnv(t *testing.T, home string) []string {
	bin := filepath.Join(home, "go", "bin")
	env := []string{
		"HOME=" + home, "PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "GOBIN=" + bin,
		"USER=" + strings.TrimSpace(string(output(t, exec.CommandContext(t.Context(), "id", "-un")))),
		"CLAUDEMESH_LISTEN=127.0.0.1:0", "TMPDIR=" + os.TempDir(),
	}
	for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB"} {
		value := output(t, exec.CommandContext(t.Context(), "go", "env", key))
		env = append(env, key+"="+strings.TrimSpace(string(value)))
	}
	return env
}
