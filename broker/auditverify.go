package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

const (
	verifyPage = 2000 // entries read at a time, so that others read in between
	pruneStep  = 5000 // entries deleted in one transaction
)

// auditVerify recomputes the chain, up to the entry that the writer of the store
// appended last: so it finds too what was cut off while the broker runs.
func (m *mesh) auditVerify(*call, wire.AuditVerify) (wire.AuditVerifyResult, error) {
	if !m.verifying.CompareAndSwap(false, true) {
		return wire.AuditVerifyResult{}, wire.Errorf(wire.RateLimited, "the audit log is being verified for somebody else: try again in a moment")
	}
	defer m.verifying.Store(false)
	var head seal.AuditLink
	ctx := context.Background()
	err := m.db.Write(ctx, func(tx *store.Tx) error { head = seal.AuditLink(tx.AuditHead()); return nil })
	if err != nil {
		return wire.AuditVerifyResult{}, err
	}
	v := auditWalk{mesh: m.id, read: func(fn func(*store.Rx) error) error { return m.db.Read(ctx, fn) }}
	if err := v.walk(ctx, head); err != nil {
		return wire.AuditVerifyResult{}, err
	}
	if v.res.Valid && head.ID > 0 {
		v.res.Checkpoint, err = m.srv.checkpoint(m.id, head, time.Now())
	}
	return v.res, err
}

// checkpoint vouches for the chain of a mesh up to an entry.
func (srv *Server) checkpoint(meshID string, l seal.AuditLink, now time.Time) (*wire.AuditCheckpoint, error) {
	text, err := seal.CheckpointText(meshID, l.ID, l.String(), now.UnixMilli())
	if err != nil {
		return nil, err
	}
	return &wire.AuditCheckpoint{
		MeshID: meshID, ID: l.ID, Hash: l.String(), CreatedAt: wire.Time(now), Signer: srv.key.Public().String(), Signature: srv.key.Sign(text),
	}, nil
}

// An auditWalk recomputes an audit chain, page by page.
type auditWalk struct {
	mesh string
	read func(func(*store.Rx) error) error
	at   int64 // the entry whose hash is noted; 0 for none
	hash string

	link seal.AuditLink
	res  wire.AuditVerifyResult
}

// walk verifies the chain up to head, or to its end if head is zero.
func (v *auditWalk) walk(ctx context.Context, head seal.AuditLink) error {
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := v.read(func(rx *store.Rx) (err error) {
			done, err = v.page(rx, head)
			return err
		})
		if err != nil {
			return err
		}
	}
	if v.res.BrokenAt == nil && head.ID > 0 && v.link != head {
		v.broken("the log ends at entry %d, and entry %d was written", v.link.ID, head.ID)
	}
	v.res.Valid, v.res.Head, v.res.HeadID = v.res.BrokenAt == nil, v.link.String(), v.link.ID
	return nil
}

// page verifies some entries and reports whether these were the last.
func (v *auditWalk) page(rx *store.Rx, head seal.AuditLink) (done bool, err error) {
	base, err := rx.AuditBase()
	if err != nil {
		return true, err
	}
	if base.ID > v.link.ID {
		v.res.Base = wireBase(v.mesh, base)
		v.step(seal.AuditLink(base.AuditHead))
		if b := v.res.Base; !seal.VerifyCheckpoint(b.MeshID, b.ID, b.Hash, b.CreatedAt.Std().UnixMilli(), b.Signer, b.Signature) {
			v.broken("the signature of where the log begins does not fit it")
			return true, nil
		}
	}
	first, err := rx.FirstAudit()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return true, err
	}
	if err == nil && first <= base.ID {
		v.res.BrokenAt, v.res.Reason = &first, fmt.Sprintf("it is there, and the log begins after entry %d", base.ID)
		return true, nil
	}
	page, err := rx.AuditAfter(v.link.ID, verifyPage)
	for _, e := range page {
		if head.ID > 0 && v.link.ID >= head.ID {
			return true, nil
		}
		next, bad := v.link.Next(v.mesh, &seal.AuditRecord{
			ID: e.ID, Event: e.Event, Actor: e.Actor, Payload: []byte(e.Payload), Created: e.Created, Hash: e.Hash,
		})
		if bad != nil {
			v.broken("%v", bad)
			return true, nil
		}
		v.step(next)
		v.res.Entries++
	}
	return len(page) < verifyPage, err
}

func (v *auditWalk) step(l seal.AuditLink) {
	if v.link = l; l.ID == v.at {
		v.hash = l.String()
	}
}

// broken notes that the entry to come is not as it should be.
func (v *auditWalk) broken(format string, args ...any) {
	at := v.link.ID + 1
	v.res.BrokenAt, v.res.Reason = &at, fmt.Sprintf(format, args...)
}

// VerifyAuditFile verifies the audit log in the file of a mesh, which may be a
// copy, and returns the hash of entry at of it too, "" if that is not in it. The
// result has no checkpoint.
func VerifyAuditFile(ctx context.Context, path string, at int64) (res wire.AuditVerifyResult, meshID, hash string, err error) {
	err = store.Look(path, func(rx *store.Rx) error {
		info, err := rx.Mesh()
		if err != nil {
			return err
		}
		meshID = info.ID
		v := auditWalk{mesh: meshID, at: at, read: func(fn func(*store.Rx) error) error { return fn(rx) }}
		err = v.walk(ctx, seal.AuditLink{})
		res, hash = v.res, v.hash
		return err
	})
	return res, meshID, hash, err
}

// sweepAudit prunes the oldest entries of a log that has become too long, and
// signs where it begins from then on.
func (m *mesh) sweepAudit(now time.Time) error {
	for more := true; more; {
		more = false
		err := m.db.Write(context.Background(), func(tx *store.Tx) error {
			base, err := tx.AuditBase()
			if err != nil {
				return err
			}
			// What is pruned at all is a tenth of what may be there, so that the
			// entries that tell of it are few.
			excess := tx.AuditHead().ID - base.ID - int64(m.srv.cfg.AuditKeep)
			if excess <= 0 {
				return nil
			}
			through := base.ID + min(excess+int64(m.srv.cfg.AuditKeep)/10, pruneStep)
			more = through < base.ID+excess
			return m.pruneAudit(tx, through, now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *mesh) pruneAudit(tx *store.Tx, through int64, now time.Time) error {
	hash, err := tx.AuditHash(through)
	if err != nil {
		return err
	}
	c, err := m.srv.checkpoint(m.id, seal.AuditLink{ID: through, Hash: hash}, now)
	if err != nil {
		return err
	}
	base := store.AuditBase{AuditHead: store.AuditHead{ID: through, Hash: hash}, Created: now, Signer: c.Signer, Signature: c.Signature}
	if err := tx.PruneAudit(base); err != nil {
		return err
	}
	return m.audit(tx, actor{}, wire.AuditPruned, audited{"id": through, "hash": c.Hash})
}
