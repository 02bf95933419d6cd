package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// A client is a session of a mesh on a connection without any comfort: it
// does not connect again and decodes of a frame only what is counted.
type client struct {
	*socket
	key     seal.PrivateKey
	address string
}

// connect opens a session with a key of its own, in groups, if any.
func connect(ctx context.Context, mesh *peer.Mesh, bufSize int, groups ...wire.Group) (*client, error) {
	key, err := seal.Generate()
	if err != nil {
		return nil, err
	}
	s, err := dialSocket(ctx, mesh.BrokerURL, bufSize)
	if err != nil {
		return nil, err
	}
	c := &client{socket: s, key: key, address: key.Public().String()}
	s.conn.SetDeadline(time.Now().Add(dialWithin))
	if err := c.hello(mesh, groups); err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("join the mesh as a client: %w", err)
	}
	s.conn.SetDeadline(time.Time{})
	return c, nil
}

// hello introduces the session and waits for the answer.
func (c *client) hello(mesh *peer.Mesh, groups []wire.Group) error {
	member, err := seal.ParsePrivateKey(mesh.SecretKey)
	if err != nil {
		return err
	}
	h := wire.Hello{
		MeshID: mesh.MeshID, MemberID: mesh.MemberID, Pubkey: mesh.Pubkey, SessionPubkey: c.address,
		DisplayName: "bench", Channel: "bench", Groups: groups,
		Timestamp: wire.MillisOf(time.Now()), Proto: wire.Proto, Instance: c.address[:16],
	}
	text, err := seal.HelloText(h.MeshID, h.MemberID, h.Pubkey, int64(h.Timestamp))
	if err != nil {
		return err
	}
	h.Signature = member.Sign(text)
	text, err = seal.SessionText(h.MeshID, h.MemberID, h.Pubkey, h.SessionPubkey, int64(h.Timestamp))
	if err != nil {
		return err
	}
	h.SessionSignature = c.key.Sign(text)
	frame, err := wire.Append(nil, "", h)
	if err != nil {
		return err
	}
	c.add(frame)
	if err := c.flush(); err != nil {
		return err
	}
	for {
		p, err := c.next()
		if err != nil {
			return err
		}
		switch kind := frameType(p); kind {
		case wire.HelloAck{}.FrameType():
			return nil
		case (*wire.Error)(nil).FrameType():
			return refusal(p)
		}
	}
}

// refusal decodes an error frame.
func refusal(p []byte) error {
	e := new(wire.Error)
	if err := wire.Decode(p, e); err != nil {
		return err
	}
	return e
}

// field returns the value of the first string field of that name, as it is
// encoded. Quotes within strings are escaped on the wire, so the name with its
// quotes is found only where it is one. Fields of nested objects are found too.
func field(p []byte, quotedName string) []byte {
	i := bytes.Index(p, []byte(quotedName))
	if i < 0 {
		return nil
	}
	rest := p[i+len(quotedName):]
	if len(rest) < 2 || rest[0] != ':' || rest[1] != '"' {
		return nil
	}
	rest = rest[2:]
	if i = bytes.IndexByte(rest, '"'); i < 0 {
		return nil
	}
	return rest[:i]
}

func frameType(p []byte) wire.Type { return wire.Type(field(p, `"type"`)) }
