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

// A shellBlock is a block of a document marked sh. A comment before it says
// where its lines are typed:
//
//	<!-- terminal: NAME -->                each line must succeed
//	<!-- terminal: NAME, shows: TEXT -->   and TEXT must be printed
//	<!-- terminal: NAME, until: TEXT -->   or the last one runs on, once TEXT is printed
//	<!-- terminal: NAME, id: WORD -->      WORD stands for the id that was printed last
//	<!-- tested by: FILE -->               they are not typed here, but in that test
//
// The one block of the README without a comment is the command that runs all
// tests.
type shellBlock struct {
	file     string
	line     int // of the file
	terminal string
	until    string
	shows    string
	id       string
	testedBy string
	commands []string
}

// at says where the i-th command stands.
func (b *shellBlock) at(i int) string { return fmt.Sprintf("%s:%d", b.file, b.line+i+1) }

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
	for _, b := range shellBlocks(t, "README.md") {
		if b.testedBy != "" {
			testedElsewhere(t, b)
		}
		if b.terminal == "" {
			continue
		}
		term := terminals[b.terminal]
		if term == nil {
			term = openTerminal(t, env)
			terminals[b.terminal] = term
		}
		term.typeBlock(b, strings.NewReplacer("go run .", module, "LINK", link))
		if found := inviteLink.FindString(term.said.String()); found != "" {
			link = found
		}
	}
}

var inviteLink = regexp.MustCompile(`ic://join/\S+`)

// typeBlock types the lines of a block, with words replaced.
func (term *terminal) typeBlock(b shellBlock, words *strings.Replacer) {
	term.t.Helper()
	read := term.said.Len()
	for i, c := range b.commands {
		c = words.Replace(c)
		if b.until != "" && i == len(b.commands)-1 {
			term.runUntil(b.at(i), c, b.until)
		} else {
			term.run(b.at(i), c)
		}
	}
	if said := term.said.String()[read:]; !strings.Contains(said, b.shows) {
		term.t.Errorf("%s: no %q in\n%s", b.at(-1), b.shows, said)
	}
}

// TestREADMENamesTheTestCommand holds the command to the form that CI reads
// and make has.
func TestREADMENamesTheTestCommand(t *testing.T) {
	blocks := shellBlocks(t, "README.md")
	unmarked := slices.DeleteFunc(blocks, func(b shellBlock) bool { return b.terminal != "" || b.testedBy != "" })
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

// shellBlocks reads the blocks of a document marked sh.
func shellBlocks(t *testing.T, file string) (blocks []shellBlock) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`^<!-- (?:terminal: ([a-z]+)(?:, until: (.*)|, shows: (.*)|, id: (.*))?|tested by: (\S+)) -->$`)
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
			b := shellBlock{file: file, line: n}
			if m := comment.FindStringSubmatch(before); m != nil {
				b.terminal, b.until, b.shows, b.id, b.testedBy = m[1], m[2], m[3], m[4], m[5]
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
