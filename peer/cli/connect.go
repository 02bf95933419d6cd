package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	connectTime = 5 * time.Second // from the dial to the answer to the hello
	closeTime   = 2 * time.Second // for what the broker must still be told
)

// onMesh opens the connection of a command to the chosen mesh, calls use with
// it and closes it. The connection is transient: it makes no presence and
// takes no mail. Inside a host session it is the session's, else the member's.
// adjust, unless nil, changes the options first.
func onMesh(ctx context.Context, env *Env, adjust func(*peer.Options), use func(context.Context, *peer.Client) error) error {
	c, m, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	opts, err := env.options(c, m)
	if err != nil {
		return err
	}
	opts.Transient = true
	if adjust != nil {
		adjust(&opts)
	}
	client, err := dial(ctx, env, opts)
	if err != nil {
		return err
	}
	err = use(ctx, client)
	hangUp(ctx, client)
	return explainMesh(err, m)
}

// dial opens a connection with a person watching.
func dial(ctx context.Context, env *Env, opts peer.Options) (*peer.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	done := env.Progress("connecting to " + opts.Mesh.BrokerURL)
	client, err := peer.Open(ctx, opts)
	done()
	return client, explainMesh(err, &opts.Mesh)
}

// hangUp closes a connection, also after an interrupt.
func hangUp(ctx context.Context, client *peer.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	client.Close(ctx) // what matters was flushed before
}

// options says who a command is in a mesh. Without a configured name the
// broker shows the member's, by which others know the user.
func (e *Env) options(c *peer.Config, m *peer.Mesh) (peer.Options, error) {
	keys := c.SessionKeys()
	o := peer.Options{
		Mesh: *m, DisplayName: peer.DisplayName(e.Getenv, c), PID: os.Getpid(), PeerType: "human", Channel: "cli",
		KeyByPubkey: func(pubkey string) (seal.PrivateKey, error) { return keys.ByPubkey(m.MeshID, pubkey) },
		ShareFrom:   e.ConfigDir, Logger: e.Logger(),
	}
	// Both are for others to see; a command works without.
	o.Cwd, _ = os.Getwd()
	o.Hostname, _ = os.Hostname()
	if o.SessionID = peer.InsideSession(e.Getenv); o.SessionID == "" {
		return o, nil
	}
	var err error
	o.SessionKey, err = keys.Key(m.MeshID, o.SessionID)
	return o, err
}

// explainMesh adds to an error of a mesh's broker what the user can do.
func explainMesh(err error, m *peer.Mesh) error {
	refusal, refused := errors.AsType[*wire.Error](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, peer.ErrUnreachable):
		return WithHint(err, "%s", startHint(m.BrokerURL))
	case errors.Is(err, peer.ErrRevoked), refused && notAMember(refusal):
		return WithHint(fmt.Errorf("you are no longer a member of %s, or this is not its broker: %s", m.Slug, m.BrokerURL),
			"to come back, join with a new invite; to forget the mesh run `claudemesh leave %s --local`", m.Slug)
	case refused && refusal.Code == wire.TimestampSkew:
		return WithHint(err, "set the clock of this machine")
	case refused && refusal.Code == wire.Forbidden && strings.Contains(refusal.Message, "admin"):
		return WithHint(err, "`claudemesh members --mesh %s` shows who is an admin", m.Slug)
	}
	return err
}

// notAMember tells the refusal of a key that the mesh does not know from the
// others of that code, which say what is missing.
func notAMember(e *wire.Error) bool {
	return e.Code == wire.Unauthorized &&
		(e.Message == "" || strings.HasSuffix(e.Message, string(wire.Unauthorized)) || strings.Contains(e.Message, "no member of the mesh"))
}

// startHint says what to do about a broker that does not answer.
func startHint(brokerURL string) string {
	u, err := url.Parse(brokerURL)
	if err != nil {
		return "check the address"
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return "start it with `claudemesh serve`"
	}
	return "is the broker running on " + host + ", and can this machine reach it?"
}
