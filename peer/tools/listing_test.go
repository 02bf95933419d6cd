package tools

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what a listing costs into docs/CLAUDE-CODE.md")

const (
	bytesPerToken   = 4
	mostInstruction = 2000 // tokens
	mostCore        = 1500
	mostCoreTools   = 10
)

// listingCost returns the size of what is listed, in tokens, and the number of
// tools.
func listingCost(t *testing.T, which string) (tools, tokens int) {
	t.Helper()
	all, err := chosen(which)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, tl := range all {
		p, err := json.Marshal(tl.listed())
		if err != nil {
			t.Fatal(err)
		}
		size += len(p)
	}
	return len(all), size / bytesPerToken
}

// TestListingIsCheap holds what every session pays.
func TestListingIsCheap(t *testing.T) {
	text := instructions(new(identity), table())
	if tokens := len(text) / bytesPerToken; tokens > mostInstruction {
		t.Errorf("the instructions have about %d tokens, more than %d", tokens, mostInstruction)
	}
	for _, tl := range table() {
		if !strings.Contains(text, tl.name) {
			t.Errorf("the instructions do not name %s", tl.name)
		}
		if tl.description == "" || tl.hint == "" || !json.Valid(tl.schema) {
			t.Errorf("%s is not described", tl.name)
		}
	}
	if tools, tokens := listingCost(t, "core"); tools > mostCoreTools || tokens > mostCore {
		t.Errorf("--tools core has %d tools of about %d tokens, more than %d and %d", tools, tokens, mostCoreTools, mostCore)
	}
}

// TestSchemasNameEachArgument holds what hosts drop a tool for without a word:
// a schema made from fields that JSON does not have.
func TestSchemasNameEachArgument(t *testing.T) {
	type schema struct {
		Properties map[string]json.RawMessage
		Required   []string
	}
	var check func(where string, raw json.RawMessage)
	check = func(where string, raw json.RawMessage) {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Errorf("%s: %v in %s", where, err, raw)
			return
		}
		for name, property := range s.Properties {
			if name == "" {
				t.Errorf("%s has an argument without a name: %s", where, raw)
			}
			check(where+"/"+name, property)
		}
		slices.Sort(s.Required)
		for i, name := range s.Required {
			if _, ok := s.Properties[name]; !ok || i > 0 && name == s.Required[i-1] {
				t.Errorf("%s requires %q, which it does not have, or twice", where, name)
			}
		}
	}
	for _, tl := range table() {
		check(tl.name, tl.schema)
	}
}

func TestInstructionsSayWhichToolsWereChosen(t *testing.T) {
	some, err := chosen("send_message,check_messages")
	if err != nil {
		t.Fatal(err)
	}
	text := instructions(new(identity), some)
	if _, named, _ := strings.Cut(text, "## Tools"); strings.Contains(named, "mesh_info") || !strings.Contains(named, "only send_message, check_messages.") {
		t.Errorf("the model is told of %q", named)
	}
}

var number = regexp.MustCompile(`\d+`)

// TestListingCostIsDocumented holds the figures of the documentation within a
// tenth of what they are. -update writes them anew.
func TestListingCostIsDocumented(t *testing.T) {
	const begin, end = "<!-- listing:begin -->\n", "<!-- listing:end -->"
	name := filepath.Join("..", "..", "docs", "CLAUDE-CODE.md")
	p, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(p), begin)
	said, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", name, begin, end)
	}
	want := listingTable(t)
	if *update {
		if err := os.WriteFile(name, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	is, shall := number.FindAllString(said, -1), number.FindAllString(want, -1)
	current := len(is) == len(shall) && number.ReplaceAllString(said, "") == number.ReplaceAllString(want, "")
	for i := range shall {
		current = current && near(is[i], shall[i])
	}
	if !current {
		t.Errorf("%s is stale: run go test ./peer/tools -run TestListingCostIsDocumented -update\nit says\n%sbut it is\n%s", name, said, want)
	}
}

// near reports whether a figure is within a tenth of another.
func near(is, shall string) bool {
	a, errA := strconv.ParseFloat(is, 64)
	b, errB := strconv.ParseFloat(shall, 64)
	return errA == nil && errB == nil && math.Abs(a-b) <= b/10
}

func listingTable(t *testing.T) string {
	t.Helper()
	var always []string
	for _, tl := range table() {
		if tl.always {
			always = append(always, tl.name)
		}
	}
	var b strings.Builder
	b.WriteString("| | tools | tokens |\n|---|---|---|\n")
	for _, row := range []struct{ what, which string }{
		{"`claudemesh mcp`", "all"}, {"`claudemesh mcp --tools core`", "core"}, {"what Claude Code shows a model at once", strings.Join(always, ",")},
	} {
		tools, tokens := listingCost(t, row.which)
		fmt.Fprintf(&b, "| %s | %d | %d |\n", row.what, tools, tokens)
	}
	fmt.Fprintf(&b, "| instructions, with each | | %d |\n", len(instructions(new(identity), table()))/bytesPerToken)
	return b.String()
}
