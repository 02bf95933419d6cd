package peer

import (
	"context"
	"fmt"

	"claudemesh/wire"
)

// GrantFile gives the peer or member that to names, as Resolve takes it,
// access to a sealed file that this client's member shared.
func (c *Client) GrantFile(ctx context.Context, id, to string) (Resolved, error) {
	r, err := c.Resolve(ctx, to)
	if err != nil {
		return r, err
	}
	if r.Target.Multicast() {
		return r, wire.Errorf(wire.BadRequest, "access is granted to one peer or member at a time, not to %s", r.Target)
	}
	at, err := Call(ctx, c, wire.GetFile{FileID: id})
	if err != nil {
		return r, err
	}
	key, err := c.openFileKey(&at)
	if err != nil {
		return r, err
	}
	if key == nil {
		return r, wire.Errorf(wire.BadRequest, "%s is not encrypted: whoever it is for can fetch it without a key", wire.CleanFileName(at.Name))
	}
	keys, _, err := c.sealTo(ctx, r.Target.Name)
	if err != nil {
		return r, err
	}
	for _, to := range keys {
		sealed, err := sealKey(key, to)
		if err != nil {
			return r, err
		}
		if _, err := Call(ctx, c, wire.GrantFileAccess{FileID: at.FileID, PeerPubkey: to, SealedKey: sealed.SealedKey}); err != nil {
			return r, fmt.Errorf("grant access to %s: %w", wire.CleanFileName(at.Name), err)
		}
	}
	return r, nil
}
