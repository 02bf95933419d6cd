package broker

import (
	"context"
	"encoding/json"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) shareContext(c *call, req wire.ShareContext) (wire.ContextShared, error) {
	if err := checkContext(&req); err != nil {
		return wire.ContextShared{}, err
	}
	summary, err := json.Marshal(req.Summary)
	if err != nil {
		return wire.ContextShared{}, err
	}
	shared := &store.Context{
		ID: store.NewID(), Member: c.session.member.id, Author: c.session.author(), Updated: time.Now(),
		Body: store.ContextBody{Summary: req.Summary, Files: req.FilesRead, Findings: req.KeyFindings, Tags: req.Tags},
	}
	err = m.contribute(c, func(tx *store.Tx) error {
		if err := tx.ShareContext(shared); err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditContextShared, nil); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			m.tellAll(c.session, wire.StateChange{Key: wire.ContextKey + shared.Author, Value: summary,
				UpdatedBy: shared.Author, UpdatedAt: wire.StampOf(shared.Updated)})
		})
		return nil
	})
	return wire.ContextShared{ID: shared.ID}, err
}

func checkContext(req *wire.ShareContext) error {
	if err := checkText("summary", req.Summary, wire.MaxContextSummary); err != nil {
		return err
	}
	if err := checkTags(req.Tags, wire.MaxTags, wire.MaxTag); err != nil {
		return err
	}
	for _, l := range []struct {
		name string
		list []string
	}{{"filesRead", req.FilesRead}, {"keyFindings", req.KeyFindings}} {
		if err := few(l.name, l.list, wire.MaxContextList); err != nil {
			return err
		}
		for _, s := range l.list {
			if err := fits("an entry of "+l.name, s, wire.MaxContextItem); err != nil {
				return err
			}
		}
	}
	if n := jsonSize(req); n > wire.MaxContextBytes {
		return wire.Errorf(wire.TooLarge, "the context has %d bytes, and %d are the most: give what matters", n, wire.MaxContextBytes)
	}
	return nil
}

func (m *mesh) getContext(_ *call, req wire.GetContext) (wire.ContextResults, error) {
	res := wire.ContextResults{Contexts: []wire.SharedContext{}}
	if err := fits("query", req.Query, wire.MaxQuery); err != nil {
		return res, err
	}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		all, err := rx.FindContexts(req.Query, wire.MaxRecall)
		for _, c := range all {
			res.Contexts = append(res.Contexts, wire.SharedContext{PeerName: c.Author, Summary: c.Body.Summary, FilesRead: notNil(c.Body.Files),
				KeyFindings: notNil(c.Body.Findings), Tags: notNil(c.Body.Tags), UpdatedAt: wire.Time(c.Updated)})
		}
		return err
	})
	return res, err
}

// listContexts stops where the answer would be too large for a frame.
func (m *mesh) listContexts(*call, wire.ListContexts) (wire.ContextList, error) {
	res := wire.ContextList{Contexts: []wire.ContextBrief{}}
	room := wire.MaxFrameBytes * 3 / 4
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		return rx.Contexts(func(c *store.Context) bool {
			brief := wire.ContextBrief{PeerName: c.Author, Summary: c.Body.Summary, Tags: notNil(c.Body.Tags), UpdatedAt: wire.Time(c.Updated)}
			if room -= jsonSize(brief) + 1; room < 0 {
				return false
			}
			res.Contexts = append(res.Contexts, brief)
			return true
		})
	})
	return res, err
}
