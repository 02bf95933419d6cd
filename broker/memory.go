package broker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) remember(c *call, req wire.Remember) (wire.MemoryStored, error) {
	if err := checkText("content", req.Content, wire.MaxMemoryBytes); err != nil {
		return wire.MemoryStored{}, err
	}
	if n := jsonSize(req.Content); n > wire.MaxMemoryBytes {
		return wire.MemoryStored{}, wire.Errorf(wire.TooLarge, "content has %d bytes, and %d are the most: say it shorter, or share a file", n, wire.MaxMemoryBytes)
	}
	if err := checkTags(req.Tags, wire.MaxTags, wire.MaxTag); err != nil {
		return wire.MemoryStored{}, err
	}
	res := wire.MemoryStored{ID: store.NewID()}
	return res, m.contribute(c, func(tx *store.Tx) error {
		n, err := tx.Memories()
		if err != nil {
			return err
		}
		if n >= wire.MaxMemories {
			return wire.Errorf(wire.Limit, "the mesh has %d memories, which are the most: forget some", n)
		}
		row := &store.Memory{ID: res.ID, Content: req.Content, Tags: req.Tags, Author: c.session.author(), Created: time.Now()}
		if err := tx.AddMemory(row); err != nil {
			return err
		}
		return m.audit(tx, c.session.actor(), wire.AuditMemoryStored, audited{"memoryId": row.ID})
	})
}

func (m *mesh) recall(_ *call, req wire.Recall) (wire.MemoryResults, error) {
	res := wire.MemoryResults{Memories: []wire.Memory{}}
	if err := fits("query", req.Query, wire.MaxQuery); err != nil {
		return res, err
	}
	if err := errors.Join(fits("tag", req.Tag, wire.MaxTag), fits("author", req.Author, wire.MaxName)); err != nil {
		return res, err
	}
	if req.Limit < 0 || req.Limit > wire.MaxRecall {
		return res, wire.Errorf(wire.BadRequest, "limit must be 1 to %d", wire.MaxRecall)
	}
	q := store.MemoryQuery{Words: req.Query, Tag: req.Tag, Author: req.Author, After: req.After.Std(), Before: req.Before.Std(),
		Limit: cmp.Or(req.Limit, wire.MaxRecall)}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		all, err := rx.Recall(q)
		for _, found := range all {
			res.Memories = append(res.Memories, wire.Memory{ID: found.ID, Content: found.Content, Tags: notNil(found.Tags),
				RememberedBy: found.Author, RememberedAt: wire.Time(found.Created), Snippet: found.Snippet})
		}
		return err
	})
	return res, err
}

func (m *mesh) forget(c *call, req wire.Forget) (wire.Ack, error) {
	ack := wire.Ack{ID: req.MemoryID, MessageID: req.MemoryID}
	if len(req.MemoryID) < wire.MinPrefix {
		ack.Unknown = true
		return ack, nil
	}
	err := m.contribute(c, func(tx *store.Tx) error {
		id, err := tx.ForgetMemory(req.MemoryID)
		if err != nil {
			return err
		}
		ack.ID, ack.MessageID = id, id
		return m.audit(tx, c.session.actor(), wire.AuditMemoryForgotten, audited{"memoryId": id})
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		ack.Unknown = true
		return ack, nil
	case errors.Is(err, store.ErrConflict):
		return ack, wire.Errorf(wire.Ambiguous, "the ids of several memories begin with %q: give more of it", wire.Shorten(req.MemoryID, 40))
	}
	return ack, err
}

func memoryInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) (err error) {
	res.MemoryCount, err = rx.Memories()
	return err
}
