package templates

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The five of the protocol: groups with roles, keys with values, roles.
func TestEmbeddedTemplates(t *testing.T) {
	all, faults := All("")
	if len(faults) > 0 || len(all) != 5 {
		t.Fatalf("%d templates, %v", len(all), faults)
	}
	for _, c := range []struct {
		name, groups string
		keys         map[string]string
		roles        string
	}{
		{"dev-team", "frontend[lead member] backend[lead member] devops[lead member] qa[lead member]",
			map[string]string{"sprint": "current", "deploy-frozen": "false", "pr-queue": "[]"}, "lead member reviewer"},
		{"research", "analysis[lead analyst] writing[lead writer reviewer] data[engineer analyst]",
			map[string]string{"research-topic": "", "phase": "exploration", "findings-count": "0"}, "lead analyst writer reviewer"},
		{"ops-incident", "oncall[primary secondary] comms[lead scribe] engineering[lead responder]",
			map[string]string{"incident-status": "investigating", "severity": "unknown", "commander": "", "timeline": "[]"},
			"commander primary-oncall scribe responder"},
		{"simulation", "personas[admin user customer] observers[monitor analyst] control[orchestrator]",
			map[string]string{"clock-speed": "x1", "sim-status": "paused", "tick-count": "0", "scenario": ""}, "orchestrator persona monitor"},
		{"personal", "", map[string]string{"focus": "", "todos": "[]"}, ""},
	} {
		got, err := Find("", c.name)
		if err != nil {
			t.Fatal(err)
		}
		var groups []string
		for _, g := range got.Groups {
			groups = append(groups, g.Name+"["+strings.Join(g.Roles, " ")+"]")
		}
		if s := strings.Join(groups, " "); s != c.groups {
			t.Errorf("%s: groups %s, want %s", c.name, s, c.groups)
		}
		if !reflect.DeepEqual(got.StateKeys, c.keys) || strings.Join(got.SuggestedRoles, " ") != c.roles {
			t.Errorf("%s: %v, %v", c.name, got.StateKeys, got.SuggestedRoles)
		}
		if got.Description == "" || len(got.SystemPromptHint) < 100 {
			t.Errorf("%s says too little of itself", c.name)
		}
	}
}

func TestTemplatesOfUsers(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"team.yaml": "name: team\ngroups: [{name: a/b, roles: [lead]}]\nstateKeys: {n: 1, on: true}",
		"json.json": `{"name":"json","description":"d","systemPromptHint":"Be brief.\n"}`,
		"own.yml":   "name: personal\ndescription: mine",
		"bad.yaml":  "name: [", "notes.txt": "name: notes",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, faults := All(dir)
	if len(all) != 7 || len(faults) != 1 || !strings.Contains(faults[0].Error(), "bad.yaml") {
		t.Errorf("%d templates, %v", len(all), faults)
	}
	team, err := Find(dir, "team")
	if err != nil || team.Groups[0].Name != "a/b" || !reflect.DeepEqual(team.StateKeys, map[string]string{"n": "1", "on": "true"}) {
		t.Errorf("%+v, %v", team, err)
	}
	if own, err := Find(dir, "personal"); err != nil || own.Description != "mine" {
		t.Errorf("a user's template does not replace the program's: %+v, %v", own, err)
	}
	if j, err := Find(dir, "json"); err != nil || j.SystemPromptHint != "Be brief." {
		t.Errorf("%+v, %v", j, err)
	}
	if _, err := Find(dir, "bad"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "choose one of dev-team, json") || !strings.Contains(err.Error(), "bad.yaml") {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestWhatIsNoTemplate(t *testing.T) {
	for name, content := range map[string]string{
		"empty":                  "",
		"no name":                "description: d",
		"a name with blanks":     "name: a b",
		"an unknown field":       "name: a\nstatekeys: {}",
		"two documents":          "name: a\n---\nname: b",
		"a group with an @":      "name: a\ngroups: [{name: '@b'}]",
		"a group twice":          "name: a\ngroups: [{name: b}, {name: b}]",
		"a role with a comma":    "name: a\nsuggestedRoles: ['b,c']",
		"a value that is a list": "name: a\nstateKeys: {k: [1]}",
		"a key of blanks":        "name: a\nstateKeys: {' ': x}",
		"an escape sequence":     `{"name":"a","systemPromptHint":"\u001b[31m"}`,
		"a long hint":            "name: a\nsystemPromptHint: " + strings.Repeat("x", MaxHint+1),
		"too long":               "name: a # " + strings.Repeat("x", MaxFile),
	} {
		if got, err := Parse([]byte(content)); err == nil {
			t.Errorf("%s is taken for %+v", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"dev-team.yaml", "personal.yaml"} {
		data, err := embedded.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"name":"a","groups":[{"name":"b","roles":["c"]}],"stateKeys":{"k":"v"}}`))
	f.Add([]byte("name: a\nstateKeys: &k {x: y}\ngroups: [*k]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data)
		if err != nil {
			return
		}
		if again := got.check(); again != nil {
			t.Fatalf("%q is taken, and %v", data, again)
		}
		for k, v := range got.StateKeys {
			if len(k) > 4*maxKey || len(v) > 4*maxValue {
				t.Fatalf("%q has a key out of bounds", data)
			}
		}
	})
}
