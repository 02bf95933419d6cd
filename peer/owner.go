package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// ErrNotOwner reports that the key which signs a mesh's invites is not in
// this configuration.
var ErrNotOwner = errors.New("not the owner of this mesh")

// OwnedMesh returns the mesh of that id which this user created: ErrNotOwner if
// it was created elsewhere.
func (c *Config) OwnedMesh(meshID string) (*Owned, error) {
	i := slices.IndexFunc(c.Owned, func(o Owned) bool { return o.MeshID == meshID })
	if i < 0 {
		return nil, ErrNotOwner
	}
	return &c.Owned[i], nil
}

// PutBroker records a broker's admin token, in the place of an older one.
func (c *Config) PutBroker(b Broker) {
	i := slices.IndexFunc(c.Brokers, func(o Broker) bool { return o.URL == b.URL })
	if i < 0 {
		c.Brokers = append(c.Brokers, b)
		return
	}
	c.Brokers[i].AdminToken = b.AdminToken
}

// Create makes a mesh on b. The owner's key is saved first, in the
// configuration in dir, so that no mesh is without its owner after a crash: a
// mesh of that slug on that broker which was begun before is completed.
func Create(ctx context.Context, dir string, b Broker, slug, name string) (Owned, error) {
	if !ValidSlug(slug) {
		return Owned{}, fmt.Errorf("slug %q: use lower-case letters, digits and -, at most 64", slug)
	}
	var o Owned
	err := UpdateConfig(ctx, dir, func(c *Config) (err error) {
		c.PutBroker(b)
		o, err = c.prepareOwned(b.URL, slug, name)
		return err
	})
	if err != nil {
		return Owned{}, err
	}
	api, err := o.API()
	if err != nil {
		return Owned{}, err
	}
	_, err = api.CreateMesh(ctx, b.AdminToken, wire.CreateMesh{MeshID: o.MeshID, Slug: o.Slug, Name: o.Name, OwnerPubkey: o.OwnerPubkey})
	return o, err
}

// prepareOwned returns the entry of a mesh, which it makes if need be.
func (c *Config) prepareOwned(brokerURL, slug, name string) (Owned, error) {
	i := slices.IndexFunc(c.Owned, func(o Owned) bool { return o.BrokerURL == brokerURL && o.Slug == slug })
	if i >= 0 {
		return c.Owned[i], nil
	}
	key, err := seal.Generate()
	if err != nil {
		return Owned{}, err
	}
	o := Owned{
		MeshID: newID(), Slug: slug, Name: name, OwnerPubkey: key.Public().String(), OwnerSecretKey: key.Hex(),
		RootKey: seal.NewRootKey(), BrokerURL: brokerURL, CreatedAt: wire.Time(time.Now()),
	}
	if o.Name == "" {
		o.Name = slug
	}
	c.Owned = append(c.Owned, o)
	return o, nil
}

// API returns the HTTP interface of the mesh's broker, signed as its owner.
func (o *Owned) API() (*API, error) {
	key, err := seal.ParsePrivateKey(o.OwnerSecretKey)
	if err != nil {
		return nil, fmt.Errorf("owner key of %s: %w", o.Slug, err)
	}
	return NewAPI(o.BrokerURL, key)
}

// InviteSpec is what an invite gives to whoever uses it.
type InviteSpec struct {
	Uses    int           // how many may use it; at least 1
	Expires time.Duration // from now, whole seconds
	Role    wire.Permission
	Preset  *wire.Preset // nil for none
}

// Invite signs an invite and registers it with the broker. The link is in no
// other place than the answer: the broker keeps a digest of it.
func (o *Owned) Invite(ctx context.Context, spec InviteSpec) (link string, _ *wire.Invite, err error) {
	api, err := o.API()
	if err != nil {
		return "", nil, err
	}
	inv := seal.Invite{
		V: seal.InviteVersion, MeshID: o.MeshID, MeshSlug: o.Slug, BrokerURL: o.BrokerURL, MeshRootKey: o.RootKey,
		ExpiresAt: time.Now().Add(spec.Expires).Unix(), Role: string(spec.Role),
	}
	for range maxSameSecond {
		if err := inv.Sign(api.key); err != nil {
			return "", nil, err
		}
		res, err := api.AddInvite(ctx, o.MeshID, wire.AddInvite{Token: inv.Token(), MaxUses: spec.Uses, Preset: spec.Preset})
		if err == nil {
			return inv.Link(), res, nil
		}
		if !errors.Is(err, &wire.Error{Code: wire.Conflict}) {
			return "", nil, err
		}
		inv.ExpiresAt++ // two invites alike in all else differ by their expiry
	}
	return "", nil, errors.New("too many invites expire in the same minutes: choose another --expires")
}

// maxSameSecond is how many invites alike may expire in consecutive seconds.
const maxSameSecond = 300

// newID returns 128 random bits in 32 hex digits.
func newID() string { return randomHex() + randomHex() }
