package cli

import (
	"strings"
	"testing"
)

func TestFlagsStandAnywhere(t *testing.T) {
	for line, want := range map[string]string{
		"echo bob hi":                             `["bob" "hi"] next false "" false`,
		"echo bob hi --priority now":              `["bob" "hi"] now false "" false`,
		"echo --priority now bob hi":              `["bob" "hi"] now false "" false`,
		"echo bob --priority=now hi -y":           `["bob" "hi"] now true "" false`,
		"echo bob -priority now hi":               `["bob" "hi"] now false "" false`,
		"echo bob --yes=false hi there":           `["bob" "hi" "there"] next false "" false`,
		"echo bob -- --priority now":              `["bob" "--priority" "now"] next false "" false`,
		"echo bob -":                              `["bob" "-"] next false "" false`,
		"echo bob -5":                             `["bob" "-5"] next false "" false`,
		"echo bob hi --mesh home --json":          `["bob" "hi"] next false "home" true`,
		"echo -- -- --":                           `["--" "--"] next false "" false`,
		"echo bob --priority -- hi":               `["bob" "hi"] -- false "" false`,
		"tool revoke":                             `[]`,
		"tool revoke -- revoke":                   `["revoke"]`,
		"tool -- revoke":                          `["revoke"]`,
		"tool words":                              `["words"]`,
		"tool pass":                               `[]`,
		"tool pass -- --dangerous x":              `["--dangerous" "x"]`,
		"echo bob hi --priority now --priority x": `["bob" "hi"] x false "" false`,
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 0 || f.stdout.String() != want {
			t.Errorf("%s: exit %d, %s, want %s; %s", line, code, &f.stdout, want, &f.stderr)
		}
	}
}

func TestWrongCommandLinesExitWithTwo(t *testing.T) {
	for line, want := range map[string]string{
		"sned":                      "hint: did you mean `claudemesh send`?",
		"lits":                      "hint: did you mean `claudemesh list`?",
		"ech bob hi":                "hint: did you mean `claudemesh echo`?",
		"pass x":                    "hint: did you mean `claudemesh tool pass`?",
		"tol":                       "hint: did you mean `claudemesh tool`?",
		"echo":                      "<to> is missing",
		"echo bob":                  "<message> is missing",
		"echo bob hi --prioritty x": "hint: did you mean --priority?",
		"echo bob hi --zzz":         "unknown flag --zzz",
		"echo bob hi --priority":    "--priority needs a value",
		"echo bob hi --in soon":     `invalid value "soon" for --in: `,
		"echo bob hi --yes=perhaps": `invalid boolean value "perhaps" for --yes: `,
		"echo bob hi -y=perhaps":    `invalid boolean value "perhaps" for -y: `,
		`echo bob hi --in "-x:`:     `invalid value "\"-x:" for --in: `,
		"list extra":                `unexpected argument "extra"`,
		"tool a b":                  "quote text that has blanks",
		"tool pass x":               "arguments come after --",
		"--json list":               "flags come after the command",
		"completion csh":            "bash, zsh and fish",
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 2 || f.stdout.Len() > 0 || !strings.Contains(f.stderr.String(), want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and %q", line, code, &f.stdout, &f.stderr, want)
		}
		if !strings.HasPrefix(f.stderr.String(), "claudemesh: ") || !strings.Contains(f.stderr.String(), "usage: ") {
			t.Errorf("%s: stderr %q has no message and usage", line, &f.stderr)
		}
	}
}

func TestGroupWithoutACommandListsThem(t *testing.T) {
	f := newFixture(t)
	g := Command{Name: "thing", Short: "Things", Sub: []Command{{Name: "create"}, {Name: "revoke"}}}
	if code := f.run(t, []Command{g}, "thing"); code != 2 || !strings.Contains(f.stderr.String(), "needs one of: create, revoke") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

func TestEnvironmentGivesFlags(t *testing.T) {
	f := newFixture(t)
	f.getenv("CLAUDEMESH_MESH", "home", "CLAUDEMESH_PRIORITY", "low", "CLAUDEMESH_YES", "true")
	f.run(t, []Command{echo()}, "echo", "bob", "hi")
	if want := `["bob" "hi"] low false "home" false`; f.stdout.String() != want {
		t.Errorf("got %s, want %s", &f.stdout, want)
	}
	f.run(t, []Command{echo()}, "echo", "bob", "hi", "--priority", "now")
	if !strings.Contains(f.stdout.String(), "now") {
		t.Errorf("the environment won over the command line: %s", &f.stdout)
	}
	wrong := echo()
	wrong.EnvFlags = []string{"*"}
	f.getenv("CLAUDEMESH_IN", "soon")
	if code := f.run(t, []Command{wrong}, "echo", "bob", "hi"); code != 2 || !strings.Contains(f.stderr.String(), "CLAUDEMESH_IN") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}
