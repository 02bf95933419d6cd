package peer

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"claudemesh/seal"
	"claudemesh/wire"
)

// AuditLog hands the audit log of the mesh to fn, from the entry after the one
// with that id to the newest that there is at the call. What fn gets first is
// the broker's description of the log, then each entry.
func (c *Client) AuditLog(ctx context.Context, after int64, begin func(*wire.AuditResult) error, fn func(*wire.AuditEntry) error) error {
	limit := wire.MaxAuditPage
	last := int64(-1)
	for {
		page, err := Call(ctx, c, wire.AuditQuery{After: &after, Limit: &limit})
		if err != nil {
			return err
		}
		if last < 0 {
			last = page.HeadID
			if err := begin(&page); err != nil {
				return err
			}
		}
		for i := range page.Entries {
			if after >= last {
				return nil
			}
			if err := fn(&page.Entries[i]); err != nil {
				return err
			}
			after = max(after+1, page.Entries[i].ID)
		}
		if len(page.Entries) == 0 || after >= last {
			return nil
		}
	}
}

// An AuditChain recomputes the hashes of an audit log, entry by entry.
type AuditChain struct {
	MeshID string
	// Against is a checkpoint that was kept, which the log must go through; nil
	// for none.
	Against *wire.AuditCheckpoint

	link seal.AuditLink
	met  bool // the chain came through Against
}

// Begin says where the log begins: base is nil for its very beginning.
func (a *AuditChain) Begin(base *wire.AuditCheckpoint) error {
	if a.Against != nil {
		if err := CheckCheckpoint(a.MeshID, a.Against); err != nil {
			return fmt.Errorf("the checkpoint that was kept: %w", err)
		}
	}
	if base == nil {
		return nil
	}
	if err := CheckCheckpoint(a.MeshID, base); err != nil {
		return fmt.Errorf("where the log begins: %w", err)
	}
	if a.Against != nil && a.Against.ID < base.ID {
		return fmt.Errorf("the log begins after entry %d and the checkpoint is of entry %d: what it vouched for was pruned; an export of it can be verified", base.ID, a.Against.ID)
	}
	return a.step(base)
}

// Resume has the chain go on from a checkpoint, as if all before it had been seen.
func (a *AuditChain) Resume(c *wire.AuditCheckpoint) error {
	if err := CheckCheckpoint(a.MeshID, c); err != nil {
		return err
	}
	return a.step(c)
}

// Place returns the entry that the chain has come to, and its hash.
func (a *AuditChain) Place() (id int64, hash string) { return a.link.ID, a.link.String() }

func (a *AuditChain) step(c *wire.AuditCheckpoint) error {
	l := seal.AuditLink{ID: c.ID}
	if n, err := hex.Decode(l.Hash[:], []byte(c.Hash)); err != nil || n != len(l.Hash) {
		return fmt.Errorf("the hash of entry %d is no hash", c.ID)
	}
	a.link = l
	return a.compare()
}

// Add checks the next entry: that it follows, and that what it says beside its
// hashed fields is what these say.
func (a *AuditChain) Add(e *wire.AuditEntry) error {
	if err := a.follow(e); err != nil {
		return fmt.Errorf("entry %d: %w", a.link.ID+1, err)
	}
	return a.compare()
}

func (a *AuditChain) follow(e *wire.AuditEntry) error {
	r := seal.AuditRecord{ID: e.ID, Event: e.EventType, Created: e.CreatedAt.Std()}
	var err error
	if r.Payload, err = seal.CanonicalJSON(e.Payload); err != nil {
		return fmt.Errorf("its payload is %w", err)
	}
	if raw, err := hex.DecodeString(e.Hash); err != nil || copy(r.Hash[:], raw) != len(r.Hash) || hex.EncodeToString(r.Hash[:]) != e.Hash {
		return errors.New("its hash is no hash")
	}
	if e.ActorMemberID != nil {
		r.Actor = *e.ActorMemberID
	}
	if e.PrevHash != a.link.String() {
		return errors.New("it says that it follows another entry")
	}
	if actorShown(e.Payload, r.Actor) != e.Actor || shownName(e) != payloadName(e.Payload) {
		return errors.New("who it says did it is not who its payload says")
	}
	next, err := a.link.Next(a.MeshID, &r)
	if err == nil {
		a.link = next
	}
	return err
}

// compare holds the chain against the checkpoint when it comes to it.
func (a *AuditChain) compare() error {
	if a.Against == nil || a.link.ID != a.Against.ID {
		return nil
	}
	if a.link.String() != a.Against.Hash {
		return fmt.Errorf("entry %d: its hash is not the one in the checkpoint: the log was rewritten", a.link.ID)
	}
	a.met = true
	return nil
}

// End checks that the chain came to the entry with that id and hash, which are
// what the log's keeper says of its end, and through the checkpoint.
func (a *AuditChain) End(id int64, hash string) error {
	if a.Against != nil && !a.met {
		return fmt.Errorf("the log ends at entry %d, and had entry %d when the checkpoint was made: it was cut off", a.link.ID, a.Against.ID)
	}
	if a.link.ID != id || a.link.String() != hash {
		return fmt.Errorf("the log ends at entry %d, and should end at entry %d: it was cut off", a.link.ID, id)
	}
	return nil
}

// CheckCheckpoint says what is wrong with a checkpoint of a mesh, nil if its
// signature is right. Whether its signer is the broker of the mesh is for the
// caller to know.
func CheckCheckpoint(meshID string, c *wire.AuditCheckpoint) error {
	if c.MeshID != meshID {
		return fmt.Errorf("it is of another mesh, %s", wire.Shorten(c.MeshID, 64))
	}
	if !seal.VerifyCheckpoint(c.MeshID, c.ID, c.Hash, c.CreatedAt.Std().UnixMilli(), c.Signer, c.Signature) {
		return errors.New("its signature does not fit it")
	}
	return nil
}

func payloadName(payload wire.Value) string {
	var p struct {
		Name string `json:"actorDisplayName"`
	}
	json.Unmarshal(payload, &p) // an object, or the hash would not fit
	return p.Name
}

func shownName(e *wire.AuditEntry) string {
	if e.ActorDisplayName == nil {
		return ""
	}
	return *e.ActorDisplayName
}

// actorShown is what an entry says of who did it.
func actorShown(payload wire.Value, memberID string) string {
	if name := payloadName(payload); name != "" {
		return name
	}
	if memberID != "" {
		return memberID
	}
	return "system"
}
