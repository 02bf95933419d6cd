package wire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ScopeKind says who may use a deployed service, besides the member who deployed it.
type ScopeKind string

// The kinds of scope.
const (
	ScopePeer   ScopeKind = "peer"   // nobody else
	ScopeMesh   ScopeKind = "mesh"   // everybody
	ScopePeers  ScopeKind = "peers"  // the members that Scope.Peers names
	ScopeGroup  ScopeKind = "group"  // the members of Scope.Group
	ScopeGroups ScopeKind = "groups" // the members of any of Scope.Groups
	ScopeRole   ScopeKind = "role"   // sessions with the role Scope.Role in any group
)

// A Scope says who may use a deployed service. On the wire it is "peer", "mesh",
// or an object with one of peers, group, groups and role; an object may have its
// kind as "type" besides, and peers may be called allow. The zero Scope is
// nobody's but the deployer's.
type Scope struct {
	Kind   ScopeKind
	Peers  []string // member ids; display names too where a scope is set
	Group  string   // with or without @; deeper groups are in it
	Groups []string
	Role   string
}

// scopeObject is the object form.
type scopeObject struct {
	Type   ScopeKind `json:"type,omitempty"`
	Peers  []string  `json:"peers,omitempty"`
	Allow  []string  `json:"allow,omitempty"`
	Group  string    `json:"group,omitempty"`
	Groups []string  `json:"groups,omitempty"`
	Role   string    `json:"role,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (s Scope) MarshalJSON() ([]byte, error) {
	switch s.Kind {
	case "":
		return json.Marshal(ScopePeer)
	case ScopePeer, ScopeMesh:
		return json.Marshal(s.Kind)
	}
	return json.Marshal(scopeObject{Peers: s.Peers, Group: s.Group, Groups: s.Groups, Role: s.Role})
}

// UnmarshalJSON implements json.Unmarshaler. It takes every form; an object
// must say one thing.
func (s *Scope) UnmarshalJSON(p []byte) error {
	var kind ScopeKind
	if json.Unmarshal(p, &kind) == nil {
		if kind != ScopePeer && kind != ScopeMesh {
			return fmt.Errorf("the scope %q is not known: peer, mesh, or an object with peers, group, groups or role", Shorten(string(kind), 64))
		}
		*s = Scope{Kind: kind}
		return nil
	}
	var o scopeObject
	if err := json.Unmarshal(p, &o); err != nil {
		return fmt.Errorf("a scope is \"peer\", \"mesh\", or an object with peers, group, groups or role")
	}
	if o.Peers == nil {
		o.Peers = o.Allow
	}
	var said []Scope
	if o.Peers != nil {
		said = append(said, Scope{Kind: ScopePeers, Peers: o.Peers})
	}
	if o.Group != "" {
		said = append(said, Scope{Kind: ScopeGroup, Group: o.Group})
	}
	if o.Groups != nil {
		said = append(said, Scope{Kind: ScopeGroups, Groups: o.Groups})
	}
	if o.Role != "" {
		said = append(said, Scope{Kind: ScopeRole, Role: o.Role})
	}
	switch {
	case len(said) == 1 && (o.Type == "" || o.Type == said[0].Kind):
		*s = said[0]
		return nil
	case len(said) == 0 && (o.Type == ScopePeer || o.Type == ScopeMesh):
		*s = Scope{Kind: o.Type}
		return nil
	}
	return fmt.Errorf("a scope object has exactly one of peers, group, groups and role")
}

// String returns the scope as people write it: peer, mesh, peers:a,b, group:x,
// groups:x,y or role:r.
func (s Scope) String() string {
	switch s.Kind {
	case ScopePeers:
		return joined(s.Kind, s.Peers...)
	case ScopeGroup:
		return joined(s.Kind, s.Group)
	case ScopeGroups:
		return joined(s.Kind, s.Groups...)
	case ScopeRole:
		return joined(s.Kind, s.Role)
	case "":
		return string(ScopePeer)
	}
	return string(s.Kind)
}

func joined(kind ScopeKind, names ...string) string {
	return string(kind) + ":" + strings.Join(names, ",")
}

// ParseScope reads what String returns.
func ParseScope(text string) (Scope, error) {
	kind, rest, _ := strings.Cut(text, ":")
	s := Scope{Kind: ScopeKind(kind)}
	switch s.Kind {
	case ScopePeer, ScopeMesh:
		if rest == "" {
			return s, nil
		}
	case ScopePeers:
		s.Peers = strings.Split(rest, ",")
	case ScopeGroup:
		s.Group = rest
	case ScopeGroups:
		s.Groups = strings.Split(rest, ",")
	case ScopeRole:
		s.Role = rest
	default:
		rest = ""
	}
	if rest == "" {
		return Scope{}, fmt.Errorf("%q is no scope: give peer, mesh, peers:NAME,NAME, group:NAME, groups:NAME,NAME or role:NAME", Shorten(text, 64))
	}
	return s, nil
}
