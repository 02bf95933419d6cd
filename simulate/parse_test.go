package simulate

import (
	"strings"
	"testing"
)

const small = `simulation: 1
name: small
duration: 5m
personas:
  - name: ann
    does: [{at: 1m, to: bob, text: hello}]
  - name: bob
    groups: [team]
`

func TestFaultsNameTheLineAndTheField(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"a field that is not there", "duration: 5m", "length: 5m", `line 3: "length" is no field here; there are broker, clock,`},
		{"a field below", "to: bob", "two: bob", `line 6: personas[0].does[0]: "two" is no field here`},
		{"a field twice", "name: bob", "name: bob\n    name: cleo", `line 8: personas[1]: "name" is there twice`},
		{"a list that is none", "groups: [team]", "groups: team", "line 8: personas[1].groups: must be a list"},
		{"time that is none", "at: 1m", "at: soon", "line 6: personas[0].does[0].at: must be simulated time in whole minutes"},
		{"part of a minute", "at: 1m", "at: 90s", "line 6: personas[0].does[0].at: must be simulated time in whole minutes"},
		{"a number that is none", "name: bob", "name: bob\n    count: many", `line 8: personas[1].count: must be a whole number, not "many"`},
		{"another version", "simulation: 1", "simulation: 2", "line 1: simulation: must be 1"},
		{"a name with a blank", "name: small", "name: so small", "line 1: name: must be 1 to 40 letters"},
		{"no time", "duration: 5m", "duration: 0m", "line 1: duration: must be from 1m"},
		{"somebody unknown", "to: bob", "to: bert", `personas[0].does[0].to: "bert" is neither a persona`},
		{"a group of nobody", "to: bob", `to: "@crew"`, `"@crew" is neither a persona`},
		{"nothing to do", "to: bob, text: hello", "times: 2", "it has to do one thing"},
		{"two things to do", "text: hello", `text: hello, set: {"sim:a": 1}`, "it has to do one thing"},
		{"a key of others", "to: bob, text: hello", "set: {deploy: 1}", `personas[0].does[0].set: "deploy" must begin with sim:`},
		{"neither at nor every", "at: 1m, ", "", "either at or every"},
		{"too late", "at: 1m", "at: 6m", "must not be after the duration"},
		{"a name twice", "name: bob", "name: ann", `"ann" is the name of two personas`},
		{"two of a kind and one", "name: ann", "name: bob-1\n    count: 1", `nobody`},
		{"an action without a world", "to: bob, text: hello", "act: move", `"move" is no action of the world`},
		{"an alias", "name: bob", "name: &b bob", "anchors and aliases are not taken"},
		{"an empty file", small, "", "it is empty"},
		{"a file of comments", small, "# later", "it is empty"},
		{"more than one document", "groups: [team]", "groups: [team]\n---\na: 1", "second document"},
		{"a bad expression", "groups: [team]", "reacts: [{when: '(', reply: x}]", "personas[1].reacts[0].when: is no regular expression"},
		{"a speed beyond the clock of a mesh", "duration: 5m", "duration: 5m\nclock: {speed: 1000}", "line 4: clock.speed: must be from 1 to 100"},
		{"an empty expectation", "duration: 5m", "duration: 5m\nexpect: [{name: x}]", "line 4: expect[0]: it has to have one of"},
		{"too many messages", "at: 1m", "every: 1m, times: 10000, at: 1m", "either at or every"},
		{"a flood", "{at: 1m, to: bob, text: hello}", "{every: 1m, times: 10000, to: bob, text: a}, {every: 1m, times: 10000, to: bob, text: b}, {every: 1m, times: 10000, to: bob, text: c}, {every: 1m, times: 10000, to: bob, text: d}", "more than 200000 messages"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(small, c.old, c.new, 1)
			if text == small {
				t.Fatalf("nothing is like %q", c.old)
			}
			if c.want == "nobody" { // it is right
				c.want = ""
			}
			_, err := Parse([]byte(text))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the fault is %v, want %q", err, c.want)
			}
		})
	}
}

func TestJSONIsReadAsItIsWritten(t *testing.T) {
	s, err := Parse([]byte("{\n\t\"simulation\": 1, \"name\": \"json\", \"duration\": \"1h\",\n\t\"personas\": [\n\t\t{\"name\": \"ann\", \"does\": [{\"at\": \"0m\", \"to\": \"everyone\", \"text\": \"a \\ud83d\\ude00 \\\\ud83d \\/ \\u00e9\"}]}\n\t]\n}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Personas[0].Does[0].Text, `a 😀 \ud83d / é`; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
}

func TestExamplesAreSound(t *testing.T) {
	if len(Examples()) < 2 {
		t.Fatalf("there are %q", Examples())
	}
	for _, name := range Examples() {
		s, err := Example(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Name != name || s.Description == "" || len(s.Expect) == 0 {
			t.Errorf("%s is called %q, described by %q and expects %d things", name, s.Name, s.Description, len(s.Expect))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	for _, name := range Examples() {
		text, err := exampleText(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("{\"simulation\": 1, \"name\": \"\\ud83d\\ude00\"}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		if s.Duration < 1 || s.Duration > maxDuration || len(s.Personas) == 0 || s.Clock.Speed <= 0 {
			t.Fatalf("a scenario that cannot be played is taken: %+v", s)
		}
		for i := range s.Personas {
			for j := range s.Personas[i].Does {
				if d := &s.Personas[i].Does[j]; d.Chance == nil || d.Times < 1 || d.occasions() < 0 {
					t.Fatalf("a deed that cannot be done is taken: %+v", d)
				}
			}
		}
	})
}
