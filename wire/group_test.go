package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGroupsAreHierarchical(t *testing.T) {
	tests := []struct {
		group, target string
		want          bool
	}{
		{"a", "a", true},
		{"a/b", "a/b", true},
		{"a/b", "a", true},
		{"a/b/c", "a", true},
		{"a/b/c", "a/b", true},
		{"a", "a/b", false},
		{"a/b", "a/c", false},
		{"a/b", "b", false},
		{"ab", "a", false},
		{"a", "ab", false},
		{"a-b", "a", false},
		{"a.b/c", "a", false},
		{"a/bc", "a/b", false},
		{"A/b", "a", false},
		{"a/b", "a/", false},
		{"a/b", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.group+" to "+tt.target, func(t *testing.T) {
			g := Group{Name: tt.group}
			if got := g.Matches(tt.target); got != tt.want {
				t.Errorf("Matches = %v", got)
			}
			if got := AnyMatches([]Group{{Name: "other"}, g}, tt.target); got != tt.want {
				t.Errorf("AnyMatches = %v", got)
			}
		})
	}
	if AnyMatches(nil, "a") {
		t.Error("nobody's groups match")
	}
}

func TestCleanGroup(t *testing.T) {
	longName, longRole := strings.Repeat("é", MaxGroupName), strings.Repeat("é", MaxRole)
	accepted := map[string]struct{ in, want Group }{
		"plain":         {Group{"eng", "lead"}, Group{"eng", "lead"}},
		"one @ removed": {Group{Name: "@eng/back"}, Group{Name: "eng/back"}},
		"all":           {Group{Name: "all"}, Group{Name: "all"}},
		"marks inside":  {Group{Name: "a_b-c.d/0"}, Group{Name: "a_b-c.d/0"}},
		"longest":       {Group{longName, longRole}, Group{longName, longRole}},
		"free role":     {Group{"a", "the one, who (mostly) asks 😀"}, Group{"a", "the one, who (mostly) asks 😀"}},
	}
	for name, tt := range accepted {
		t.Run(name, func(t *testing.T) {
			if got, err := CleanGroup(tt.in); err != nil || got != tt.want {
				t.Errorf("CleanGroup = %+v, %v", got, err)
			}
		})
	}
	refused := map[string]Group{
		"no name":         {},
		"only @":          {Name: "@"},
		"two @":           {Name: "@@a"},
		"name too long":   {Name: longName + "é"},
		"empty part":      {Name: "a//b"},
		"slash first":     {Name: "/a"},
		"slash last":      {Name: "a/"},
		"mark first":      {Name: "-a"},
		"mark first in b": {Name: "a/.."},
		"space":           {Name: "a b"},
		"quote":           {Name: "a'; DROP TABLE x"},
		"wildcard":        {Name: "a%"},
		"control":         {Name: "a\x1b"},
		"broken UTF-8":    {Name: "a\xff"},
		"role too long":   {"a", longRole + "é"},
		"role of control": {"a", "x\ny"},
		"role of C1":      {"a", "x\u0085y"},
	}
	for name, in := range refused {
		t.Run(name, func(t *testing.T) {
			if got, err := CleanGroup(in); !errors.Is(err, &Error{Code: BadRequest}) || got != (Group{}) {
				t.Errorf("CleanGroup = %+v, %v, want code %s", got, err, BadRequest)
			}
		})
	}
}

func TestCleanGroupsDropsAndLimits(t *testing.T) {
	numbered := func(from, to int, role string) []Group {
		var gs []Group
		for i := from; i < to; i++ {
			gs = append(gs, Group{fmt.Sprintf("g%d", i), role})
		}
		return gs
	}
	tests := map[string]struct{ in, want []Group }{
		"none":               {nil, []Group{}},
		"only invalid":       {[]Group{{}, {Name: "a b"}}, []Group{}},
		"invalid dropped":    {[]Group{{Name: "a"}, {Name: "/"}, {Name: "b"}}, []Group{{Name: "a"}, {Name: "b"}}},
		"last of a name":     {[]Group{{"a", "x"}, {"b", ""}, {"@a", "y"}}, []Group{{"a", "y"}, {"b", ""}}},
		"as many as allowed": {numbered(0, MaxGroups, ""), numbered(0, MaxGroups, "")},
		"the first of more":  {numbered(0, MaxGroups+9, ""), numbered(0, MaxGroups, "")},
		"last, behind more": {
			append(numbered(0, 3*MaxGroups, ""), numbered(0, MaxGroups, "late")...),
			numbered(0, MaxGroups, "late"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, CleanGroups(tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A hello of two mebibytes can name a hundred thousand groups before anybody
// knows who sent it. The work for them must not grow with their square.
func TestCleanGroupsHoldsNoMoreThanTheLimit(t *testing.T) {
	in := make([]Group, 100_000)
	for i := range in {
		in[i].Name = fmt.Sprintf("g%d", i)
	}
	if got := CleanGroups(in); len(got) != MaxGroups || cap(got) > 3*MaxGroups {
		t.Errorf("len %d, cap %d, want %d and little more", len(got), cap(got), MaxGroups)
	}
}

func TestCleanGroupsLeavesItsInput(t *testing.T) {
	in := []Group{{Name: "@a"}, {Name: " "}, {Name: "b"}}
	CleanGroups(in)
	if diff := cmp.Diff([]Group{{Name: "@a"}, {Name: " "}, {Name: "b"}}, in); diff != "" {
		t.Error(diff)
	}
}
