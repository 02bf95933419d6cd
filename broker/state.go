package broker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) setState(c *call, req wire.SetState) error {
	if err := checkText("key", req.Key, wire.MaxStateKey); err != nil {
		return err
	}
	switch {
	case req.Value == nil:
		return wire.Errorf(wire.BadRequest, "value is missing: null is a value, but it must be said")
	case len(req.Value) > wire.MaxStateValue:
		return wire.Errorf(wire.TooLarge, "the value has %d bytes, and %d are the most: share a file instead", len(req.Value), wire.MaxStateValue)
	}
	return m.contribute(c, func(tx *store.Tx) error {
		old, err := checkUpdated(tx, req.Key, req.IfUpdatedAt)
		if err != nil {
			return err
		}
		e := &store.StateEntry{Key: req.Key, Value: json.RawMessage(req.Value), Author: c.session.author(), Updated: time.Now()}
		e.Size = jsonSize(stateEntry(e)) + 1
		if err := roomForState(tx, old, e.Size); err != nil {
			return err
		}
		if err := tx.SetState(e); err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditStateSet, audited{"key": e.Key, "valueSha256": sumOf(e.Value)}); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			m.tellAll(c.session, wire.StateChange{Key: e.Key, Value: req.Value, UpdatedBy: e.Author, UpdatedAt: wire.StampOf(e.Updated)})
		})
		return nil
	})
}

// checkUpdated returns the entry of a key, nil if it is not set, and refuses
// if it is not the one that the caller knew.
func checkUpdated(tx *store.Tx, key string, known *wire.Stamp) (*store.StateEntry, error) {
	old, err := tx.StateEntry(key)
	if errors.Is(err, store.ErrNotFound) {
		old = nil
	} else if err != nil {
		return nil, err
	}
	switch {
	case known == nil:
	case old == nil && !known.IsZero():
		return nil, wire.Errorf(wire.Conflict, "%q was deleted meanwhile: decide anew", wire.Shorten(key, 60))
	case old != nil && !known.Equal(wire.StampOf(old.Updated)):
		return nil, wire.Errorf(wire.Conflict, "%q was set by %s at %s: read it again and decide anew",
			wire.Shorten(key, 60), old.Author, wire.StampOf(old.Updated))
	}
	return old, nil
}

// roomForState refuses an entry of that size if it would be too much.
func roomForState(tx *store.Tx, old *store.StateEntry, size int) error {
	use, err := tx.StateUse()
	if err != nil {
		return err
	}
	if old != nil {
		use.Keys--
		use.Bytes -= old.Size
	}
	switch {
	case use.Keys >= wire.MaxStateKeys:
		return wire.Errorf(wire.Limit, "the mesh has %d keys, which are the most: delete some", use.Keys)
	case use.Bytes+size > wire.MaxStateBytes:
		return wire.Errorf(wire.Limit, "the state of the mesh would have more than %d bytes: delete keys, or share a file", wire.MaxStateBytes)
	}
	return nil
}

func (m *mesh) deleteState(c *call, req wire.DeleteState) error {
	return m.contribute(c, func(tx *store.Tx) error {
		old, err := checkUpdated(tx, req.Key, req.IfUpdatedAt)
		if err != nil {
			return err
		}
		if old == nil {
			return wire.Errorf(wire.NotFound, "%q is not set", wire.Shorten(req.Key, 60))
		}
		if err := tx.DeleteState(req.Key); err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditStateDeleted, audited{"key": req.Key}); err != nil {
			return err
		}
		at := wire.StampOf(time.Now()).Std()
		if !at.After(old.Updated) {
			at = old.Updated.Add(time.Millisecond)
		}
		tx.AfterCommit(func() {
			m.tellAll(c.session, wire.StateChange{Key: req.Key, UpdatedBy: c.session.author(), UpdatedAt: wire.StampOf(at), Deleted: true})
		})
		return nil
	})
}

func (m *mesh) getState(_ *call, req wire.GetState) (wire.StateResult, error) {
	res := wire.StateResult{Key: req.Key}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		e, err := rx.StateEntry(req.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			res = wire.StateResult(stateEntry(e))
		}
		return err
	})
	return res, err
}

func (m *mesh) listState(*call, wire.ListState) (wire.StateList, error) {
	res := wire.StateList{Entries: []wire.StateEntry{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		all, err := rx.StateEntries()
		for _, e := range all {
			res.Entries = append(res.Entries, stateEntry(e))
		}
		return err
	})
	return res, err
}

func stateEntry(e *store.StateEntry) wire.StateEntry {
	return wire.StateEntry{Key: e.Key, Value: wire.Value(e.Value), UpdatedBy: e.Author, UpdatedAt: wire.StampOf(e.Updated)}
}

func stateInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) (err error) {
	res.StateKeys, err = rx.StateKeys()
	return err
}
