package simulate

import (
	"context"
	"errors"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/bench"
	"claudemesh/peer/cli"
	"claudemesh/wire"
)

// A Broker is where a run finds its mesh.
type Broker interface {
	// Mesh returns the mesh that the run is played in.
	Mesh(ctx context.Context) (peer.Mesh, error)
	// Member returns a membership for a persona, nil if it shares that of Mesh.
	Member(ctx context.Context, name string) (*peer.Mesh, error)
	// Own returns the broker if it is the run's own, else nil.
	Own() *cli.LocalBroker
}

// Given is the Broker of a mesh that the user has joined. All personas are
// sessions of the user.
func Given(mesh peer.Mesh) Broker { return given{mesh} }

type given struct{ mesh peer.Mesh }

func (g given) Mesh(context.Context) (peer.Mesh, error)            { return g.mesh, nil }
func (g given) Member(context.Context, string) (*peer.Mesh, error) { return nil, nil }
func (g given) Own() *cli.LocalBroker                              { return nil }

// Temporary is a broker of the run's own, with its data in a directory that
// Close removes. Each persona is a member of its mesh.
type Temporary struct {
	dir    string
	broker *cli.LocalBroker
	mesh   peer.Mesh
	link   string
}

// StartTemporary starts a broker as a process of this program, for so many
// personas. The caller closes it.
func StartTemporary(ctx context.Context, personas int) (_ *Temporary, err error) {
	t := &Temporary{}
	if t.dir, err = os.MkdirTemp("", "claudemesh-simulate-"); err != nil {
		return nil, err
	}
	if err := t.start(ctx, personas); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Temporary) start(ctx context.Context, personas int) (err error) {
	if t.broker, err = cli.StartLocalBroker(ctx, t.dir, bench.Unlimited()...); err != nil {
		return err
	}
	c, err := t.broker.Config()
	if err != nil {
		return err
	}
	if len(c.Brokers) == 0 {
		return errors.New("the broker's configuration has no token to make a mesh with")
	}
	owned, err := peer.Create(ctx, t.broker.ConfigDir(), c.Brokers[0], "simulation", "")
	if err != nil {
		return err
	}
	if t.link, _, err = owned.Invite(ctx, peer.InviteSpec{Uses: personas + 1, Expires: 7 * 24 * time.Hour, Role: wire.Ordinary}); err != nil {
		return err
	}
	mesh, err := t.Member(ctx, "conductor")
	if err != nil {
		return err
	}
	t.mesh = *mesh
	return nil
}

// Mesh implements Broker.
func (t *Temporary) Mesh(context.Context) (peer.Mesh, error) { return t.mesh, nil }

// Member implements Broker.
func (t *Temporary) Member(ctx context.Context, name string) (*peer.Mesh, error) {
	joined, err := peer.Join(ctx, peer.JoinRequest{Link: t.link, DisplayName: name})
	if err != nil {
		return nil, err
	}
	return &joined.Mesh, nil
}

// Own implements Broker.
func (t *Temporary) Own() *cli.LocalBroker { return t.broker }

// Close stops the broker, if it runs, and removes its data.
func (t *Temporary) Close() (err error) {
	if t.broker != nil && t.broker.Child != nil {
		err = t.broker.Stop()
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}
