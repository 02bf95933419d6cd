package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Group is a routing label of a session, with the role it plays there.
type Group struct {
	Name string `json:"name"` // without the leading @
	Role string `json:"role,omitempty"`
}

// Matches reports whether a session in group g receives a message to @target:
// groups are hierarchical, so a member of a/b also belongs to a.
func (g Group) Matches(target string) bool {
	rest, ok := strings.CutPrefix(g.Name, target)
	return ok && (rest == "" || rest[0] == '/')
}

// CleanGroup returns g with one leading @ removed from its name. It is an
// error if the name is not 1 to MaxGroupName characters in segments separated
// by /, each of letters, digits, _, - and . after a letter or digit, or if the
// role has control characters or more than MaxRole characters.
func CleanGroup(g Group) (Group, error) {
	g.Name = strings.TrimPrefix(g.Name, "@")
	if n := utf8.RuneCountInString(g.Name); n == 0 || n > MaxGroupName {
		return Group{}, Errorf(BadRequest, "group name must have 1 to %d characters", MaxGroupName)
	}
	for seg := range strings.SplitSeq(g.Name, "/") {
		if !validSegment(seg) {
			return Group{}, Errorf(BadRequest, "group name %q: each part between slashes must be letters, digits, _, - or . and begin with a letter or digit", g.Name)
		}
	}
	if utf8.RuneCountInString(g.Role) > MaxRole || HasControl(g.Role) {
		return Group{}, Errorf(BadRequest, "role of @%s must be at most %d characters without control characters", g.Name, MaxRole)
	}
	return g, nil
}

// CleanGroups returns the valid ones of gs, each name once (the last entry
// wins), at most MaxGroups.
func CleanGroups(gs []Group) []Group {
	out := make([]Group, 0, min(len(gs), MaxGroups))
	for _, g := range gs {
		g, err := CleanGroup(g)
		if err != nil {
			continue
		}
		// Cut at once: the search of PutGroup must not grow with the input.
		out = PutGroup(out, g)
		out = out[:min(len(out), MaxGroups)]
	}
	return out
}

// PutGroup returns gs with g added, or put in the place of the entry of its name.
func PutGroup(gs []Group, g Group) []Group {
	for i := range gs {
		if gs[i].Name == g.Name {
			gs[i] = g
			return gs
		}
	}
	return append(gs, g)
}

// AnyMatches reports whether one of gs receives a message to @target.
func AnyMatches(gs []Group, target string) bool {
	for _, g := range gs {
		if g.Matches(target) {
			return true
		}
	}
	return false
}

func validSegment(s string) bool {
	for i, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			continue
		}
		if i == 0 || (r != '_' && r != '-' && r != '.') {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// HasControl reports whether s holds a control character.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl)
}
