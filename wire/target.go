package wire

import (
	"strings"
)

// TargetKind is what a target addresses.
type TargetKind int

// The kinds of targets.
const (
	ToKey    TargetKind = iota // one address: a full public key
	ToPrefix                   // one address: at least MinPrefix digits of its key
	ToAll                      // every session of the mesh
	ToGroup                    // every session in a group or below it
)

// A Target is a parsed targetSpec.
type Target struct {
	Kind TargetKind
	// Name is the key or prefix in lower case, or the group without its @.
	Name string
}

// Multicast reports whether t may address several recipients.
func (t Target) Multicast() bool { return t.Kind == ToAll || t.Kind == ToGroup }

func (t Target) String() string {
	switch t.Kind {
	case ToAll:
		return "*"
	case ToGroup:
		return "@" + t.Name
	}
	return t.Name
}

// ParseTarget parses a targetSpec:
//
//	target = key | prefix | "*" | "@all" | "@" group
//	key    = 64 hex digits
//	prefix = 8 to 63 hex digits
//	group  = segment *( "/" segment )
//
// Hex is taken in either case. The reserved forms "#channel" and "tag:x", and
// anything else, is an *Error with the code InvalidTarget.
func ParseTarget(spec string) (Target, error) {
	switch {
	case spec == "*" || spec == "@all":
		return Target{Kind: ToAll}, nil
	case strings.HasPrefix(spec, "@"):
		g, err := CleanGroup(Group{Name: spec})
		if err != nil || strings.HasPrefix(g.Name, "@") {
			return Target{}, Errorf(InvalidTarget, "%q is not a group: write @name or @name/subgroup", Shorten(spec, 60))
		}
		return Target{ToGroup, g.Name}, nil
	case strings.HasPrefix(spec, "#") || strings.HasPrefix(spec, "tag:"):
		return Target{}, Errorf(InvalidTarget, "%q: channels and tags are reserved; send to a key, @group or *", Shorten(spec, 60))
	case IsHex(spec) && len(spec) == 64:
		return Target{ToKey, strings.ToLower(spec)}, nil
	case IsHex(spec) && len(spec) >= MinPrefix && len(spec) < 64:
		return Target{ToPrefix, strings.ToLower(spec)}, nil
	}
	return Target{}, Errorf(InvalidTarget, "%q is not a target: send to a key of 64 hex digits or its first %d, @group or *", Shorten(spec, 60), MinPrefix)
}

// IsHex reports whether s is hex digits only, of either case.
func IsHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if (c < 'a' || c > 'f') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}

// Shorten returns s cut to n characters, with an ellipsis where it was cut.
func Shorten(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
