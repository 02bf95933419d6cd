package cli

import (
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestWhatCannotBeSentIsNotSentOnToACommandThatIsNotThere(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("x", maxMessage+1): "in parts",
		"\xff\xfe":                        "base64",
	} {
		f := newFixture(t)
		f.Stdin = strings.NewReader(text)
		code := f.run(t, nil, "send", "bob", "-")
		if s := f.stderr.String(); code != 1 || !strings.Contains(s, want) || strings.Contains(s, "share") {
			t.Errorf("exit %d, %q; want %q", code, s, want)
		}
	}
}

func TestInfoNamesWhatCanBeUsed(t *testing.T) {
	f := newFixture(t)
	f.fill()
	printInfo(&f.Env, &infoJSON{Slug: "home", PeerCount: 2, MeshInfoResult: wire.MeshInfoResult{YourName: "ann"}})
	s := f.stdout.String()
	if !strings.Contains(s, "2 sessions") || strings.Contains(s, "tasks") || strings.Contains(s, "shared") {
		t.Error(s)
	}
}

func TestAPersonWhoFollowsIsToldThatItWaits(t *testing.T) {
	f := terminal(t, "TERM", "dumb")
	announceFollow(&f.Env, "home")
	if s := f.stderr.String(); s != "Waiting for mail in home… Ctrl-C ends.\n" {
		t.Errorf("%q", s)
	}
	f = newFixture(t)
	f.fill()
	if announceFollow(&f.Env, "home"); f.stderr.Len() > 0 {
		t.Errorf("a program is told %q", &f.stderr)
	}
}

func TestLeaveTakesTheMeshOfItsArgumentNotOfTheEnvironment(t *testing.T) {
	f := newFixture(t)
	f.join(t, "home", "second")
	f.getenv("CLAUDEMESH_MESH", "home")
	if code := f.run(t, nil, "leave", "second", "--local", "--yes"); code != 0 || !strings.Contains(f.stdout.String(), "Removed second") || !strings.Contains(f.stdout.String(), "may still count you") {
		t.Fatalf("exit %d, %q, %q", code, &f.stdout, &f.stderr)
	}
	c, err := peer.LoadConfig(f.ConfigDir)
	if err != nil || strings.Join(c.Slugs(), " ") != "home" {
		t.Errorf("left are %v, %v", c.Slugs(), err)
	}
	f.join(t, "third")
	if code := f.run(t, nil, "leave", "home", "--mesh", "third", "--yes"); code != 2 || !strings.Contains(f.stderr.String(), "two meshes") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}
