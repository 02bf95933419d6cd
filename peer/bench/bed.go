package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/cli"
)

// A bed is all that a run needs: a mesh on a broker, a bare server and a
// directory on the disk that is measured.
type bed struct {
	dir    string // removed by close
	mesh   peer.Mesh
	broker *cli.LocalBroker // nil if it is not ours
	bare   *cli.Child
	addr   string  // of bare
	rivals *rivals // nil unless asked for
}

// openBed makes a directory below dir and starts the bare server. It has no
// mesh before join or serve; the caller closes it.
func openBed(ctx context.Context, dir string) (*bed, error) {
	b := &bed{}
	var err error
	if b.dir, err = os.MkdirTemp(dir, "claudemesh-bench-"); err != nil {
		return nil, err
	}
	if b.bare, b.addr, err = startBare(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// join takes the mesh of the configuration that --mesh names.
func (b *bed) join(env *cli.Env, url string) error {
	_, mesh, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	b.mesh = *mesh
	b.mesh.BrokerURL = url
	return nil
}

// serve starts a broker that limits no client.
func (b *bed) serve(ctx context.Context, flags ...string) (err error) {
	if b.broker, err = cli.StartLocalBroker(ctx, b.dir, append(Unlimited(), flags...)...); err != nil {
		return err
	}
	c, err := b.broker.Config()
	if err != nil {
		return err
	}
	mesh, err := c.Mesh("")
	if err != nil {
		return err
	}
	b.mesh = *mesh
	return nil
}

// quiet waits until our broker has done what clients that came and went left it
// to do, such as telling everyone of everyone, but not for long.
func (b *bed) quiet(ctx context.Context) {
	const look, times = 40 * time.Millisecond, 75
	before := b.usage().CPU
	for range times {
		if before == 0 {
			return // it is not ours, or this system does not tell
		}
		wait(ctx, look)
		now := b.usage().CPU
		if now-before < look/4 {
			return
		}
		before = now
	}
}

// Unlimited returns flags of serve that keep its protections out of the way.
func Unlimited() []string {
	return []string{"--rate", "1e9", "--burst", "1000000000", "--http-rate", "1e9", "--max-connections", "100000",
		"--max-sockets", "100000", "--mailbox-cap", "100000000"}
}

func (b *bed) close() (err error) {
	if b.rivals != nil {
		b.rivals.close()
	}
	if b.bare != nil {
		b.bare.Kill()
	}
	if b.broker != nil {
		err = b.broker.Stop()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
