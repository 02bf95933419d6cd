package launch

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// documents are settings files as people and programs leave them.
var documents = map[string]string{
	"empty":              `{}`,
	"empty with line":    "{}\n",
	"blank inside":       "{ }",
	"line inside":        "{\n}\n",
	"one line":           `{"a":1,"permissions":{"allow":["Bash"]}}`,
	"two spaces":         "{\n  \"z\": 1,\n  \"mcpServers\": {\n    \"other\": {\n      \"command\": \"x\"\n    }\n  },\n  \"a\": [1, 2]\n}\n",
	"tabs, no last line": "{\n\t\"permissions\": {\n\t\t\"allow\": [\n\t\t\t\"Read\",\n\t\t\t\"Bash(ls)\"\n\t\t],\n\t\t\"deny\": []\n\t}\n}",
	"carriage returns":   "{\r\n  \"a\": true,\r\n  \"permissions\": {\"allow\": []}\r\n}\r\n",
	"odd blanks":         "  {  \"a\" :  1.0e5 ,\n\n \"permissions\":{ \"allow\" : [ \"x\" , \"y\" ] } }\n\n",
	"hooks of others":    "{\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"beep\"}]}\n    ]\n  }\n}\n",
	"strings that trap":  "{\n  \"a}]\\\"\": \"{[\\\\\",\n  \"é\\u0000\": null\n}\n",
	"numbers":            `{"big": 123456789012345678901234567890, "permissions": {"allow": [],"x":-0.0}}`,
	"key twice":          `{"permissions": 1, "permissions": {"allow": ["q"]}}`,
}

// additions are what an installation puts into a file.
func additions(t *testing.T, d *jsonDoc) []change {
	t.Helper()
	var all []change
	note := func(c []change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c...)
	}
	note(d.put([]string{"mcpServers", "claudemesh"}, map[string]any{"command": "c<m>", "args": []string{"mcp"}, "env": map[string]string{}}))
	note(d.include([]string{"permissions", "allow"}, "mcp__claudemesh"))
	note(d.include([]string{"hooks", "Stop"}, map[string]any{"hooks": []any{map[string]string{"command": "one"}}}))
	note(d.include([]string{"hooks", "Stop"}, map[string]any{"hooks": []any{map[string]string{"command": "two"}}}))
	return all
}

func TestUndoingAllChangesRestoresEveryByte(t *testing.T) {
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			d := &jsonDoc{data: []byte(text)}
			changes := additions(t, d)
			if !json.Valid(d.data) {
				t.Fatalf("no JSON any more:\n%s", d.data)
			}
			if string(d.data) == text {
				t.Fatal("nothing was added")
			}
			if again := additions(t, &jsonDoc{data: d.data}); len(again) > 0 {
				t.Errorf("added a second time: %v", again)
			}
			for _, c := range slices.Backward(changes) {
				if did, err := d.undo(c); err != nil || !did {
					t.Fatalf("undo %v: %v, %v", c.Path, did, err)
				}
			}
			if string(d.data) != text {
				t.Errorf("before:\n%q\nafter:\n%q", text, d.data)
			}
		})
	}
}

func TestAdditionsLeaveAllElseAsItIs(t *testing.T) {
	d := &jsonDoc{data: []byte(documents["two spaces"])}
	additions(t, d)
	want := `{
  "z": 1,
  "mcpServers": {
    "other": {
      "command": "x"
    },
    "claudemesh": {
      "args": [
        "mcp"
      ],
      "command": "c<m>",
      "env": {}
    }
  },
  "a": [1, 2],
  "permissions": {
    "allow": [
      "mcp__claudemesh"
    ]
  },
  "hooks": {
`
	if !strings.HasPrefix(string(d.data), want) {
		t.Errorf("got:\n%s", d.data)
	}
}

func TestUndoLeavesWhatOthersAddedOrChanged(t *testing.T) {
	d := &jsonDoc{data: []byte(documents["two spaces"])}
	changes := additions(t, d)
	if err := d.add([]string{"permissions", "allow"}, "mine"); err != nil {
		t.Fatal(err)
	}
	if err := d.set([]string{"mcpServers", "claudemesh", "timeout"}, 5); err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Backward(changes) {
		if _, err := d.undo(c); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"permissions.allow": `["mine"]`, "mcpServers.claudemesh.timeout": `5`, "hooks": ``, "a": `[1, 2]`} {
		if got, err := d.get(strings.Split(path, ".")...); err != nil || string(got) != want && !sameJSON(got, []byte(want)) {
			t.Errorf("%s is %s, %v, want %s", path, got, err, want)
		}
	}
}

func TestReplacedValueComesBack(t *testing.T) {
	const text = `{"mcpServers": {"claudemesh": {"command": "old" , "args": []}}}`
	d := &jsonDoc{data: []byte(text)}
	for _, c := range slices.Backward(additions(t, d)) {
		if _, err := d.undo(c); err != nil {
			t.Fatal(err)
		}
	}
	if string(d.data) != text {
		t.Errorf("got %s", d.data)
	}
}

func TestContainersOfAnotherKindAreAnError(t *testing.T) {
	for _, text := range []string{`{"permissions": []}`, `{"permissions": {"allow": "all"}}`, `{"permissions": null}`, `[]`, ``, `{"a": 1,}`, "\ufeff{}"} {
		d := &jsonDoc{data: []byte(text)}
		if _, err := d.include([]string{"permissions", "allow"}, "x"); err == nil {
			t.Errorf("%q was taken and became %q", text, d.data)
		}
		if string(d.data) != text {
			t.Errorf("%q became %q", text, d.data)
		}
	}
}

func FuzzEditsAreReversible(f *testing.F) {
	for _, text := range documents {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &jsonDoc{data: bytes.Clone(text)}
		changes, err := d.include([]string{"hooks", "Stop"}, map[string]int{"n": 1})
		if err != nil {
			return
		}
		if !json.Valid(d.data) {
			t.Fatalf("%q became %q", text, d.data)
		}
		for _, c := range slices.Backward(changes) {
			if _, err := d.undo(c); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(d.data, text) {
			t.Fatalf("%q came back as %q", text, d.data)
		}
	})
}
