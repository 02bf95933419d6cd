package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"claudemesh/wire"
)

// A Resolved is what a target text means in one mesh.
type Resolved struct {
	Text   string      // as given
	Target wire.Target // a key, a group or everyone, never a prefix
	Name   string      // of the session or member, empty for several
	// Exclude are addresses that an earlier target of the same list reaches.
	Exclude []string
	// CoveredBy is the target of the same list that reaches this one too, so
	// that nothing is to be sent. Empty if there is none.
	CoveredBy string
	// Err is why the text means nothing.
	Err error
}

// Resolve finds out what a target text means: a key, @group and * stand for
// themselves; the first 8 digits or more of a key for the key they fit; any
// other text is the name of a session, in full or, if it is in one name only,
// in part, ignoring case; failing that, the name of a member, who is reached
// when one of its sessions is next online. The client's own session is never
// found by name: the error says so. Else it says which keys a name fits, or who
// is online.
func (c *Client) Resolve(ctx context.Context, text string) (Resolved, error) {
	_, epoch, kept := c.peers.get()
	r, err := c.resolveByList(ctx, text)
	if !kept || !errors.Is(err, &wire.Error{Code: wire.UnknownRecipient}) {
		return r, err
	}
	// The news of a peer that has just come may be on their way.
	if _, fault := c.askPeers(ctx, epoch); fault != nil {
		return r, err
	}
	return c.resolveByList(ctx, text)
}

// resolveByList is Resolve by the list that is at hand, or by a new one if there is
// none.
func (c *Client) resolveByList(ctx context.Context, text string) (Resolved, error) {
	r := Resolved{Text: text}
	text = strings.TrimSpace(text)
	target, err := wire.ParseTarget(text)
	switch {
	case err == nil && target.Kind == wire.ToPrefix:
		r.Target, err = c.completeKey(ctx, target.Name)
		if errors.Is(err, &wire.Error{Code: wire.UnknownRecipient}) {
			// A name may consist of hex digits.
			if named, nameErr := c.resolveName(ctx, text); nameErr == nil {
				r.Target, r.Name, err = named.Target, named.Name, nil
			}
		}
	case err == nil:
		r.Target = target
	case strings.HasPrefix(text, "@") || strings.HasPrefix(text, "#") || text == "":
		return r, err
	default:
		var named Resolved
		named, err = c.resolveName(ctx, text)
		r.Target, r.Name = named.Target, named.Name
	}
	if err == nil && r.Name == "" && !r.Target.Multicast() {
		if list, _, ok := c.peers.get(); ok {
			r.Name = nameIn(&list, r.Target.Name)
		}
	}
	return r, err
}

// named is a session or member that a text may mean.
type named struct{ name, key string }

func (c *Client) resolveName(ctx context.Context, text string) (Resolved, error) {
	list, err := c.Peers(ctx)
	if err != nil {
		return Resolved{}, err
	}
	var sessions, members []named
	for _, p := range list.Peers {
		if p.Pubkey != c.address {
			sessions = append(sessions, named{p.DisplayName, p.Pubkey})
		}
	}
	for _, m := range list.Members {
		if m.Pubkey != c.opts.Mesh.Pubkey {
			members = append(members, named{m.DisplayName, m.Pubkey})
		}
	}
	equal := func(n named) bool { return strings.EqualFold(n.name, text) }
	if c.calledItself(&list, text) && !slices.ContainsFunc(sessions, equal) && !slices.ContainsFunc(members, equal) {
		return Resolved{}, wire.Errorf(wire.UnknownRecipient, "that is you, and nobody else in %s is called %q; %s", c.opts.Mesh.Slug, wire.Shorten(text, 60), online(sessions))
	}
	contains := func(n named) bool { return strings.Contains(strings.ToLower(n.name), strings.ToLower(text)) }
	for _, found := range [][]named{
		filter(sessions, equal), atMostOne(filter(sessions, contains)), filter(members, equal),
	} {
		switch len(found) {
		case 0:
			continue
		case 1:
			return Resolved{Target: wire.Target{Kind: wire.ToKey, Name: found[0].key}, Name: found[0].name}, nil
		}
		return Resolved{}, ambiguous(text, found)
	}
	if found := filter(sessions, contains); len(found) > 1 {
		return Resolved{}, ambiguous(text, found)
	}
	return Resolved{}, wire.Errorf(wire.UnknownRecipient, "nobody called %q is in %s; %s", wire.Shorten(text, 60), c.opts.Mesh.Slug, online(sessions))
}

// calledItself reports whether text is the name of the client's own session or
// member.
func (c *Client) calledItself(list *wire.PeersList, text string) bool {
	return slices.ContainsFunc(list.Peers, func(p wire.Peer) bool { return p.Pubkey == c.address && strings.EqualFold(p.DisplayName, text) }) ||
		slices.ContainsFunc(list.Members, func(m wire.MemberBrief) bool {
			return m.Pubkey == c.opts.Mesh.Pubkey && strings.EqualFold(m.DisplayName, text)
		})
}

func filter(all []named, keep func(named) bool) []named {
	var out []named
	for _, n := range all {
		if keep(n) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// atMostOne makes a partial match count only if it is the only one.
func atMostOne(found []named) []named {
	if len(found) > 1 {
		return nil
	}
	return found
}

func ambiguous(text string, found []named) error {
	e := wire.Errorf(wire.Ambiguous, "%q fits %d peers; name one by its key: ", wire.Shorten(text, 60), len(found))
	for _, n := range found[:min(len(found), wire.MaxCandidates)] {
		e.Candidates = append(e.Candidates, wire.Candidate{Pubkey: n.key, Name: n.name})
	}
	e.Message += describe(found)
	return e
}

func online(sessions []named) string {
	if len(sessions) == 0 {
		return "nobody else is online"
	}
	return "online are " + describe(sessions)
}

// describe lists peers with as much of their keys as a target needs.
func describe(all []named) string {
	var b strings.Builder
	for i, n := range all {
		if i == wire.MaxCandidates {
			fmt.Fprintf(&b, " and %d more", len(all)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", wire.Shorten(n.name, 60), n.key[:min(12, len(n.key))])
	}
	return b.String()
}

// completeKey returns the only key of the mesh that begins with prefix: a box
// needs it in full.
func (c *Client) completeKey(ctx context.Context, prefix string) (wire.Target, error) {
	list, err := c.Peers(ctx)
	if err != nil {
		return wire.Target{}, err
	}
	var found []named
	add := func(n named) {
		if strings.HasPrefix(n.key, prefix) && !slices.ContainsFunc(found, func(m named) bool { return m.key == n.key }) {
			found = append(found, n)
		}
	}
	for _, p := range list.Peers {
		add(named{p.DisplayName, p.Pubkey})
	}
	for _, m := range list.Members {
		add(named{m.DisplayName, m.Pubkey})
	}
	switch len(found) {
	case 0:
		return wire.Target{}, wire.Errorf(wire.UnknownRecipient, "no peer or member of %s has a key that begins with %s; give the key in full to reach one that is not in the list", c.opts.Mesh.Slug, prefix)
	case 1:
		return wire.Target{Kind: wire.ToKey, Name: found[0].key}, nil
	}
	return wire.Target{}, ambiguous(prefix, found)
}
