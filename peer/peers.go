package peer

import (
	"context"
	"sync"
	"time"

	"claudemesh/wire"
)

// peersFor is how long a list of peers is used again.
const peersFor = 30 * time.Second

// A peerCache holds the last list of peers. News of peers that come, go or
// change their name make it forget.
type peerCache struct {
	mu    sync.Mutex
	list  wire.PeersList
	at    time.Time // zero without a list
	epoch int       // counts what made it forget
}

func (p *peerCache) get() (list wire.PeersList, epoch int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.epoch, !p.at.IsZero() && time.Since(p.at) < peersFor
}

// put keeps a list unless something happened since it was asked for.
func (p *peerCache) put(list wire.PeersList, epoch int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch {
		p.list, p.at = list, time.Now()
	}
}

func (p *peerCache) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list, p.at = wire.PeersList{}, time.Time{}
	p.epoch++
}

// Peers returns the sessions and members of the mesh, this client's included.
// The answer may be up to 30 s old, but not older than the last news of a peer
// that came or went; use Call with wire.ListPeers for the present. The caller
// does not change it.
func (c *Client) Peers(ctx context.Context) (wire.PeersList, error) {
	list, epoch, ok := c.peers.get()
	if ok {
		return list, nil
	}
	return c.askPeers(ctx, epoch)
}

// askPeers gets the list from the broker, and keeps it unless there were news
// since epoch.
func (c *Client) askPeers(ctx context.Context, epoch int) (wire.PeersList, error) {
	list, err := Call(ctx, c, wire.ListPeers{Members: true})
	if err == nil {
		c.peers.put(list, epoch)
	}
	return list, err
}

// Name returns the display name of the session or member with that key, or
// peer-<first 8 digits> if it is not known or the broker does not say.
func (c *Client) Name(ctx context.Context, pubkey string) string {
	list, err := c.Peers(ctx)
	if err == nil {
		if name := nameIn(&list, pubkey); name != "" {
			return name
		}
	}
	return "peer-" + pubkey[:min(8, len(pubkey))]
}

func nameIn(list *wire.PeersList, pubkey string) string {
	for _, p := range list.Peers {
		if p.Pubkey == pubkey {
			return p.DisplayName
		}
	}
	for _, m := range list.Members {
		if m.Pubkey == pubkey {
			return m.DisplayName
		}
	}
	return ""
}
