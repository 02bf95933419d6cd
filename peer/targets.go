package peer

import (
	"cmp"
	"context"
	"slices"

	"claudemesh/wire"
)

// ResolveAll resolves the targets of one message, in their order, so that
// nobody gets it twice: a target that another one of the list reaches too is
// marked as covered, and a group leaves out whom an earlier one reaches.
func (c *Client) ResolveAll(ctx context.Context, texts []string) []Resolved {
	out := make([]Resolved, len(texts))
	for i, text := range texts {
		out[i], out[i].Err = c.Resolve(ctx, text)
	}
	if len(texts) < 2 {
		return out
	}
	dropCovered(out)
	if !slices.ContainsFunc(out, multicasts) {
		return out
	}
	list, err := c.Peers(ctx)
	if err != nil {
		c.log.Warn("targets may overlap: the list of peers cannot be had", "err", err)
		return out
	}
	dropReached(out, list.Peers, c.address)
	return out
}

func (r *Resolved) sends() bool { return r.Err == nil && r.CoveredBy == "" }

func multicasts(r Resolved) bool { return r.sends() && r.Target.Multicast() }

// dropCovered marks the targets that another one contains by its form: the
// same again, a group below a group, a group beside everyone.
func dropCovered(all []Resolved) {
	for i := range all {
		for j := range all {
			r, by := &all[i], &all[j]
			if i == j || !r.sends() || !by.sends() {
				continue
			}
			same := r.Target == by.Target
			if same && i > j || !same && contains(by.Target, r.Target) {
				r.CoveredBy = by.Target.String()
			}
		}
	}
}

// contains reports whether everyone that t reaches is reached by outer.
func contains(outer, t wire.Target) bool {
	switch {
	case !t.Multicast():
		return false
	case outer.Kind == wire.ToAll:
		return true
	}
	return outer.Kind == wire.ToGroup && t.Kind == wire.ToGroup && wire.Group{Name: t.Name}.Matches(outer.Name)
}

// dropReached looks at who is there: it marks keys that a multicast of the list
// reaches, and makes each multicast leave out whom those before it reach. self
// is the sender's address, which no multicast reaches.
func dropReached(all []Resolved, peers []wire.Peer, self string) {
	addresses, members := make(map[string]string), make(map[string]string) // → target
	for i := range all {
		r := &all[i]
		if !multicasts(*r) {
			continue
		}
		for _, p := range peers {
			if p.Pubkey == self || !reaches(r.Target, &p) {
				continue
			}
			switch by := addresses[p.Pubkey]; {
			case by == "":
				addresses[p.Pubkey] = r.Target.String()
				members[p.MemberPubkey] = r.Target.String()
			case by != r.Target.String() && len(r.Exclude) < wire.MaxExclude && !slices.Contains(r.Exclude, p.Pubkey):
				r.Exclude = append(r.Exclude, p.Pubkey)
			}
		}
	}
	for i := range all {
		if r := &all[i]; r.sends() && !r.Target.Multicast() {
			r.CoveredBy = cmp.Or(addresses[r.Target.Name], members[r.Target.Name])
		}
	}
}

func reaches(t wire.Target, p *wire.Peer) bool {
	if p.Visible != nil && !*p.Visible {
		return false
	}
	return t.Kind == wire.ToAll || wire.AnyMatches(p.Groups, t.Name)
}
