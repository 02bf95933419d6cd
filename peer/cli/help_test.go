package cli

import (
	"context"
	"strings"
	"testing"
)

func TestHelpIsOnStandardOutput(t *testing.T) {
	for line, want := range map[string][]string{
		"":                     {"claudemesh serve", "claudemesh join", "claudemesh --help"},
		"--help":               {"Usage", "Talk\n", "echo", "tool", "More\n", "version"},
		"-h":                   {"Talk\n"},
		"help":                 {"Talk\n"},
		"echo --help":          {"claudemesh echo <to> <message>... [flags]", "--priority <when>", "(default next)", "$CLAUDEMESH_PRIORITY", "-y, --yes", "claudemesh echo bob hi"},
		"echo bob -h":          {"claudemesh echo <to>"},
		"echo --priority x -h": {"claudemesh echo <to>"},
		"help echo":            {"claudemesh echo <to>"},
		"tool --help":          {"claudemesh tool revoke [id]", "Revoke one"},
		"help tool pass":       {"claudemesh tool pass [flags] -- [argument]..."},
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 0 || f.stderr.Len() > 0 {
			t.Errorf("%q: exit %d, stderr %q", line, code, &f.stderr)
		}
		for _, part := range want {
			if !strings.Contains(f.stdout.String(), part) {
				t.Errorf("%q: %q is not in\n%s", line, part, &f.stdout)
			}
		}
		if strings.Contains(f.stdout.String(), "__complete") {
			t.Errorf("%q shows hidden commands", line)
		}
	}
}

func TestNoArgumentsRunTheNamelessCommand(t *testing.T) {
	f := newFixture(t)
	welcome := Command{Run: func(_ context.Context, env *Env, _ []string) error { env.Out().Printf("hello"); return nil }}
	if code := f.run(t, []Command{welcome}); code != 0 || f.stdout.String() != "hello" {
		t.Errorf("exit %d, %q", code, &f.stdout)
	}
}
