package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsAreTrue types what the pages of docs tell to type, all in one
// mesh where bob, carol and dave are members too. Each page begins in a
// directory of its own with what its commands take for granted. A block
// without a comment is typed in the terminal you.
func TestDocumentsAreTrue(t *testing.T) {
	env := append(readmeEnv(t, t.TempDir()), "EDITOR=true")
	broker := openTerminal(t, env)
	broker.runUntil("serve", module+" serve", "Ctrl-C stops the broker")
	link := inviteLink.FindString(broker.said.String())
	env = append(env, "LINK="+link)
	for _, name := range []string{"bob", "carol", "dave"} {
		member := openTerminal(t, append(env, "CLAUDEMESH_CONFIG_DIR="+filepath.Join(t.TempDir(), name)))
		member.run(name, module+` join --name `+name+` "$LINK"`)
		member.run(name, "cd "+t.TempDir()+"; "+takenForGranted+"; "+module+" share-dir add .")
		member.runUntil(name, module+" watch --group team --group backend --group floor", "Online in home")
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) { testPage(t, page, env) })
	}
}

func testPage(t *testing.T, page string, env []string) {
	terminals := make(map[string]*terminal)
	dir := t.TempDir()
	for _, b := range shellBlocks(t, page) {
		switch {
		case b.testedBy != "":
			testedElsewhere(t, b)
			continue
		case b.terminal == "":
			b.terminal = "you"
		}
		term := terminals[b.terminal]
		if term == nil {
			term = openTerminal(t, env)
			term.run(page, "cd "+dir)
			term.run(page, takenForGranted)
			terminals[b.terminal] = term
		}
		words := strings.NewReplacer("LINK", "$LINK")
		if b.id != "" {
			words = strings.NewReplacer(b.id, lastID(term))
		}
		term.typeBlock(b, words)
	}
}

// takenForGranted makes the files that the pages speak of.
const takenForGranted = `
test -d .git || {
git init -q . && git remote add origin https://example.com/team/app.git
mkdir -p src ~/src/app ~/Downloads ~/.claude/skills/review
echo 'package main' > src/main.go && cp src/main.go src/parse.go
echo true > deploy && chmod +x deploy
for f in report.pdf trace.json build.tar.gz; do date > $f; done
printf -- '---\nname: review\ndescription: how to review\n---\nRead it twice.\n' > ~/.claude/skills/review/SKILL.md
}`

// lastID is the id that a terminal showed last: a UUID, the beginning of one,
// or 32 letters and digits.
func lastID(term *terminal) string {
	all := regexp.MustCompile(`\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Za-z]{32}|[0-9a-f]{8})\b`).FindAllString(term.said.String(), -1)
	if len(all) == 0 {
		return "no-id-was-printed"
	}
	return all[len(all)-1]
}

// testedElsewhere holds that the file which is said to test the commands of a
// block names each of them.
func testedElsewhere(t *testing.T, b shellBlock) {
	data, err := os.ReadFile(b.testedBy)
	if err != nil {
		t.Fatalf("%s: %v", b.at(-1), err)
	}
	for i, c := range b.commands {
		words := strings.Fields(c)
		if len(words) < 2 || !strings.Contains(string(data), words[1]) {
			t.Errorf("%s: %q is not in %s", b.at(i), c, b.testedBy)
		}
	}
}
