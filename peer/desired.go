package peer

import (
	"context"
	"errors"
	"slices"

	"claudemesh/wire"
)

// desired is what the session wants the mesh to know of it. A connection that
// is lost takes it along, so it is told again after each hello.
type desired struct {
	joined  []wire.Group
	left    []string // groups left on purpose, which a restored session may be in
	summary *wire.SetSummary
	status  *wire.SetStatus // a manual one
	visible *wire.SetVisible
	profile *wire.SetProfile
	stats   *wire.SetStats
}

// A wish is a request that is answered by an ack.
type wish = wire.Request[wire.Ack]

func (d *desired) init(groups []wire.Group) { d.joined = wire.CleanGroups(groups) }

func (d *desired) join(g wire.Group) (undo func()) {
	d.left = slices.DeleteFunc(d.left, func(name string) bool { return name == g.Name })
	i := slices.IndexFunc(d.joined, func(h wire.Group) bool { return h.Name == g.Name })
	switch {
	case i >= 0:
		d.joined[i] = g
	case len(d.joined) < wire.MaxGroups:
		d.joined = append(d.joined, g)
	}
	return func() {
		d.joined = slices.DeleteFunc(d.joined, func(h wire.Group) bool { return h == g })
	}
}

func (d *desired) leave(name string) (undo func()) {
	d.joined = slices.DeleteFunc(d.joined, func(g wire.Group) bool { return g.Name == name })
	if !slices.Contains(d.left, name) && len(d.left) < wire.MaxGroups {
		d.left = append(d.left, name)
	}
	return func() {}
}

// wishes returns what the broker does not know after the hello it answered.
func (d *desired) wishes(ack *wire.HelloAck) []wish {
	has := ack.RestoredGroups
	if len(has) == 0 {
		has = ack.MemberProfile.Groups
	}
	var out []wish
	for _, g := range d.joined {
		if !slices.Contains(has, g) {
			out = append(out, wire.JoinGroup(g))
		}
	}
	for _, name := range d.left {
		if slices.ContainsFunc(has, func(g wire.Group) bool { return g.Name == name }) {
			out = append(out, wire.LeaveGroup{Name: name})
		}
	}
	if d.summary != nil {
		out = append(out, *d.summary)
	}
	if d.status != nil {
		out = append(out, *d.status)
	}
	if d.visible != nil {
		out = append(out, *d.visible)
	}
	if d.profile != nil {
		out = append(out, *d.profile)
	}
	if d.stats != nil {
		out = append(out, *d.stats)
	}
	return out
}

// replay tells the broker the wishes of the session.
func (c *Client) replay(ctx context.Context, wishes []wish) {
	for _, w := range wishes {
		if _, err := Call(ctx, c, w); err != nil && ctx.Err() == nil {
			c.log.Warn("the broker did not take over what the session wants", "request", w.FrameType(), "err", err)
		}
	}
}

// want records a wish and tells it to the broker. A refusal takes it back;
// after any other error it will be told on the next connection.
func (c *Client) want(ctx context.Context, w wish, record func(*desired) (undo func())) error {
	c.mu.Lock()
	undo := record(&c.desired)
	c.mu.Unlock()
	_, err := Call(ctx, c, w)
	if e, refused := errors.AsType[*wire.Error](err); refused && e.Code != wire.RateLimited && e.Code != wire.Unavailable {
		c.mu.Lock()
		undo()
		c.mu.Unlock()
	}
	return err
}

// put sets a field and returns how to take that back, unless it was set anew.
func put[T any](field **T, v *T) (undo func()) {
	old := *field
	*field = v
	return func() {
		if *field == v {
			*field = old
		}
	}
}

// SetStatus says what the session is doing. As with all Set methods, an
// ErrNotConnected means that the broker will be told once there is
// a connection, and a *wire.Error that it refused.
func (c *Client) SetStatus(ctx context.Context, s wire.Status) error {
	f := wire.SetStatus{Status: s}
	return c.want(ctx, f, func(d *desired) func() { return put(&d.status, &f) })
}

// InferStatus reports a status that was inferred from a transcript. It is not
// repeated on the next connection.
func (c *Client) InferStatus(ctx context.Context, s wire.Status) error {
	_, err := Call(ctx, c, wire.SetStatus{Status: s, Source: wire.SourceJSONL})
	return err
}

// SetSummary says in a line what the session is about; empty clears it.
func (c *Client) SetSummary(ctx context.Context, summary string) error {
	f := wire.SetSummary{Summary: summary}
	return c.want(ctx, f, func(d *desired) func() { return put(&d.summary, &f) })
}

// SetVisible shows or hides the session.
func (c *Client) SetVisible(ctx context.Context, visible bool) error {
	f := wire.SetVisible{Visible: &visible}
	return c.want(ctx, f, func(d *desired) func() { return put(&d.visible, &f) })
}

// SetProfile changes the fields of the profile that are not nil.
func (c *Client) SetProfile(ctx context.Context, f wire.SetProfile) error {
	return c.want(ctx, f, func(d *desired) func() { return put(&d.profile, mergeProfile(d.profile, f)) })
}

func mergeProfile(old *wire.SetProfile, f wire.SetProfile) *wire.SetProfile {
	if old == nil {
		return &f
	}
	p := *old
	if f.Avatar != nil {
		p.Avatar = f.Avatar
	}
	if f.Title != nil {
		p.Title = f.Title
	}
	if f.Bio != nil {
		p.Bio = f.Bio
	}
	if f.Capabilities != nil {
		p.Capabilities = f.Capabilities
	}
	return &p
}

// SetStats replaces the session's counters.
func (c *Client) SetStats(ctx context.Context, s wire.Stats) error {
	f := wire.SetStats{Stats: s}
	return c.want(ctx, f, func(d *desired) func() { return put(&d.stats, &f) })
}

// JoinGroup adds the session to a group, or changes its role there.
func (c *Client) JoinGroup(ctx context.Context, g wire.Group) error {
	g, err := wire.CleanGroup(g)
	if err != nil {
		return err
	}
	return c.want(ctx, wire.JoinGroup(g), func(d *desired) func() { return d.join(g) })
}

// LeaveGroup takes the session out of a group, with or without its @.
func (c *Client) LeaveGroup(ctx context.Context, name string) error {
	g, err := wire.CleanGroup(wire.Group{Name: name})
	if err != nil {
		return err
	}
	return c.want(ctx, wire.LeaveGroup{Name: g.Name}, func(d *desired) func() { return d.leave(g.Name) })
}
