package cli

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	firstUses    = 10                 // of the invite that the first start prints
	firstExpires = 7 * 24 * time.Hour // and how long it is good for
)

// Serving is what a broker says when it listens.
type Serving struct {
	URL    string `json:"url"`    // WebSocket URL
	Listen string `json:"listen"` // host:port
	Data   string `json:"data"`
	Home   *Home  `json:"home,omitempty"` // on the first start only
}

// Home is the mesh that the first start of a broker makes.
type Home struct {
	Slug          string    `json:"slug"`
	MeshID        string    `json:"meshId"`
	MemberID      string    `json:"memberId"`
	DisplayName   string    `json:"displayName"`
	Invite        string    `json:"invite"` // a link, for others
	InviteUses    int       `json:"inviteUses"`
	InviteExpires wire.Time `json:"inviteExpires"`
}

// FirstStart makes the mesh "home" on the broker at brokerURL, makes the user
// its first member, an admin, and an invite for others. What a crash left
// half done is completed.
func FirstStart(ctx context.Context, env *Env, brokerURL, adminToken string) (*Home, error) {
	owned, err := peer.Create(ctx, env.ConfigDir, peer.Broker{URL: brokerURL, AdminToken: adminToken}, "home", "")
	if err != nil {
		return nil, fmt.Errorf("make the mesh home: %w", err)
	}
	joined, err := joinOwn(ctx, env, &owned, userName(env))
	if err != nil {
		return nil, fmt.Errorf("join the mesh home: %w", err)
	}
	link, inv, err := owned.Invite(ctx, peer.InviteSpec{Uses: firstUses, Expires: firstExpires, Role: wire.Ordinary})
	if err != nil {
		return nil, fmt.Errorf("invite to the mesh home: %w", err)
	}
	return &Home{
		Slug: joined.Slug, MeshID: joined.MeshID, MemberID: joined.MemberID, DisplayName: joined.name,
		Invite: link, InviteUses: inv.MaxUses, InviteExpires: inv.ExpiresAt,
	}, nil
}

// membership is a mesh of the configuration.
type membership struct {
	peer.Mesh
	name    string // of the member in the mesh
	asked   string // slug in the invite, which may be taken here
	already bool   // it was a member before
}

// joinOwn makes the owner of a mesh its member, an admin.
func joinOwn(ctx context.Context, env *Env, owned *peer.Owned, name string) (*membership, error) {
	link, _, err := owned.Invite(ctx, peer.InviteSpec{Uses: 1, Expires: time.Hour, Role: wire.Admin})
	if err != nil {
		return nil, err
	}
	return joinAndSave(ctx, env, link, name)
}

// userName is the name under which a user joins who gives none.
func userName(env *Env) string {
	c, err := env.Config()
	if err != nil {
		c = &peer.Config{}
	}
	if name := peer.DisplayName(env.Getenv, c); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return peer.ProcessName()
}

// Relocate points the user's entries of meshes at the broker's URL that it
// has now, so that a broker on another port is found again.
func Relocate(ctx context.Context, env *Env, brokerURL string, meshIDs []string) error {
	c, err := env.Config()
	if err != nil {
		return err
	}
	stale := func(id, url string) bool { return url != brokerURL && slices.Contains(meshIDs, id) }
	if !slices.ContainsFunc(c.Meshes, func(m peer.Mesh) bool { return stale(m.MeshID, m.BrokerURL) }) &&
		!slices.ContainsFunc(c.Owned, func(o peer.Owned) bool { return stale(o.MeshID, o.BrokerURL) }) {
		return nil
	}
	return peer.UpdateConfig(ctx, env.ConfigDir, func(c *peer.Config) error {
		former := map[string]bool{}
		for i := range c.Meshes {
			if m := &c.Meshes[i]; stale(m.MeshID, m.BrokerURL) {
				former[m.BrokerURL] = true
				m.BrokerURL = brokerURL
			}
		}
		for i := range c.Owned {
			if o := &c.Owned[i]; stale(o.MeshID, o.BrokerURL) {
				former[o.BrokerURL] = true
				o.BrokerURL = brokerURL
			}
		}
		for _, b := range slices.Clone(c.Brokers) {
			if former[b.URL] {
				c.Brokers = slices.DeleteFunc(c.Brokers, func(o peer.Broker) bool { return o.URL == b.URL })
				b.URL = brokerURL
				c.PutBroker(b)
			}
		}
		return nil
	})
}

// PrintServing says that a broker listens, and what to do next.
func PrintServing(env *Env, s Serving) error {
	out := env.Out()
	if env.JSON {
		return out.JSONLine(s)
	}
	out.Printf("claudemesh serves %s, data in %s\n", Styled{Bold, s.URL}, s.Data)
	h := s.Home
	if h == nil {
		out.Printf("Invite others with `claudemesh invite create`. Ctrl-C stops; everything is kept.\n")
		return nil
	}
	out.Printf("\nThe mesh %s is new, and you are its first member, %s.\n", Styled{Bold, h.Slug}, Styled{Bold, h.DisplayName})
	out.Printf("\nNext, in another terminal:\n")
	out.Printf("  claudemesh peers      see who is here\n")
	out.Printf("  claudemesh inbox      read your mail\n")
	out.Printf("\nOthers join with this link (%d uses, until %s):\n", h.InviteUses, out.Date(h.InviteExpires.Std()))
	out.Printf("  claudemesh join %s\n", h.Invite)
	out.Printf("\nCtrl-C stops the broker; everything is kept.\n")
	return nil
}

// joinAndSave redeems an invite and saves the membership. A mesh that was
// joined before keeps its key.
func joinAndSave(ctx context.Context, env *Env, link, name string) (*membership, error) {
	j := peer.JoinRequest{Link: link, DisplayName: name}
	if err := reuseKey(env, &j); err != nil {
		return nil, err
	}
	joined, err := peer.Join(ctx, j)
	if err != nil {
		return nil, err
	}
	m := &membership{name: joined.DisplayName, asked: joined.Mesh.Slug, already: joined.AlreadyMember}
	err = peer.UpdateConfig(ctx, env.ConfigDir, func(c *peer.Config) error {
		entry, kept := c.AddMesh(joined.Mesh)
		if kept && entry.Pubkey != joined.Mesh.Pubkey {
			return errors.New("another process joined this mesh at the same time: its membership was kept")
		}
		entry.MemberID, entry.BrokerURL = joined.Mesh.MemberID, joined.Mesh.BrokerURL
		m.Mesh = *entry
		return nil
	})
	return m, err
}
