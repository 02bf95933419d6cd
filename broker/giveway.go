package broker

import (
	"context"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// What makes events, with an id after it.
const (
	hookSource  = "webhook "
	watchSource = "watch "
)

// giveWay ends what is over the bound of events from the source of p that a
// recipient has not seen, when one more is to come, and returns how many these
// are. Their trail says that they expired. A message of a peer gives way to nothing.
func (m *mesh) giveWay(tx *store.Tx, p *plan, addr int64) (int, error) {
	if p.source == "" {
		return 0, nil
	}
	seqs, err := tx.GiveWay(addr, p.source, wire.KeptEvents-1, time.Now())
	if len(seqs) == 0 || err != nil {
		return 0, err
	}
	p.over += len(seqs)
	tx.AfterCommit(func() { m.gaveWay(addr, seqs) })
	return len(seqs), nil
}

// gaveWay forgets deliveries of events that are over. It runs after the commit.
func (m *mesh) gaveWay(addr int64, seqs []int64) {
	m.srv.metrics.dropped(dropEvents, len(seqs))
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[addr]; b != nil {
		b.giveUp(seqs)
	}
}

// expireEvents gives up events whose time has run out, which is shorter than
// that of messages. Nobody sent them who is told of each; they are counted.
func (m *mesh) expireEvents(now time.Time) {
	for more := true; more; {
		err := m.db.Write(context.Background(), func(tx *store.Tx) error {
			over, err := tx.ExpireEvents(now, now.Add(-min(m.ttl(), wire.HookEventKept)), batch)
			if err != nil {
				return err
			}
			more = len(over) == batch
			given := make(map[string]int)
			for _, g := range over {
				given[g.Source]++
				tx.AfterCommit(func() { m.gaveWay(g.Recipient, []int64{g.Seq}) })
			}
			for source, n := range given {
				if id, ok := strings.CutPrefix(source, hookSource); ok {
					if err := tx.WebhookGivenUp(id, n); err != nil {
						return err
					}
				}
			}
			return nil
		})
		m.logFailed("expire events", err)
		more = more && err == nil
	}
}
