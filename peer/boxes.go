package peer

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"claudemesh/seal"
	"claudemesh/wire"
)

// maxBoxes is how many precomputed shared keys are kept.
const maxBoxes = 1024

// pair names the two ends of a Box.
type pair struct{ mine, theirs seal.PublicKey }

// boxes keeps the shared keys used last: computing one costs as much as
// sealing a hundred messages. It is safe for concurrent use.
type boxes struct {
	mu      sync.Mutex
	entries map[pair]*list.Element // of boxEntry
	order   list.List              // the last used in front
}

type boxEntry struct {
	pair pair
	box  *seal.Box
}

func newBoxes() *boxes { return &boxes{entries: make(map[pair]*list.Element)} }

// get returns the box of a pair of keys.
func (b *boxes) get(mine seal.PrivateKey, theirs seal.PublicKey) (*seal.Box, error) {
	p := pair{mine.Public(), theirs}
	if box := b.find(p); box != nil {
		return box, nil
	}
	box, err := seal.NewBox(mine, theirs)
	if err != nil {
		return nil, err
	}
	b.put(p, box)
	return box, nil
}

func (b *boxes) find(p pair) *seal.Box {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[p]
	if !ok {
		return nil
	}
	b.order.MoveToFront(e)
	return e.Value.(boxEntry).box
}

func (b *boxes) put(p pair, box *seal.Box) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.entries[p]; ok {
		return
	}
	b.entries[p] = b.order.PushFront(boxEntry{p, box})
	if b.order.Len() > maxBoxes {
		last := b.order.Back()
		delete(b.entries, b.order.Remove(last).(boxEntry).pair)
	}
}

// seal returns the envelope of a message: a box for a key, and for several
// recipients what the options and the mesh allow.
func (c *Client) seal(ctx context.Context, to wire.Target, text string) (nonce, ciphertext string, err error) {
	return c.sealWith(ctx, seal.NewNonce(), to, text)
}

// sealOnce is seal for a message that the caller may compose again under the
// same id, also in another process: then its envelope is the same too.
func (c *Client) sealOnce(ctx context.Context, id string, to wire.Target, text string) (nonce, ciphertext string, err error) {
	return c.sealWith(ctx, seal.RepeatableNonce(c.own, c.opts.Mesh.MeshID, to.String(), id, text), to, text)
}

func (c *Client) sealWith(ctx context.Context, n seal.Nonce, to wire.Target, text string) (nonce, ciphertext string, err error) {
	if to.Multicast() {
		return c.sealMulticast(ctx, n, to, text)
	}
	key, err := seal.ParsePublicKey(to.Name)
	if err != nil {
		return "", "", err
	}
	box, err := c.boxes.get(c.own, key)
	if err != nil {
		return "", "", wire.Errorf(wire.InvalidTarget, "%s… is no key of a peer", to.Name[:min(8, len(to.Name))])
	}
	nonce, ciphertext = box.SealWith(n, []byte(text))
	if to.Name != c.address {
		c.inbox.sealed(nonce)
	}
	return nonce, ciphertext, nil
}

func (c *Client) sealMulticast(ctx context.Context, n seal.Nonce, to wire.Target, text string) (nonce, ciphertext string, err error) {
	switch policy := c.opts.EncryptMulticast; {
	case policy == MulticastSealed && c.multicast == nil:
		return "", "", fmt.Errorf("cannot encrypt for %s: the configuration has no root key for mesh %s; join it again with a new invite", to, c.opts.Mesh.Slug)
	case policy == MulticastSealed, policy == MulticastAuto && c.allReadSealed(ctx):
		return c.multicast.SealWith(n, c.own, c.opts.Mesh.MeshID, to.String(), text)
	}
	nonce, ciphertext = seal.PlainEnvelope(n, text)
	return nonce, ciphertext, nil
}

// allReadSealed reports whether, as far as can be known, everyone online reads
// sealed multicasts.
func (c *Client) allReadSealed(ctx context.Context) bool {
	if c.multicast == nil || c.State() != StateOpen || c.Hello().Proto < wire.Proto {
		return false
	}
	list, err := c.Peers(ctx)
	if err != nil {
		return false
	}
	for _, p := range list.Peers {
		if p.Proto < wire.Proto && p.Pubkey != c.address {
			return false
		}
	}
	return true
}
