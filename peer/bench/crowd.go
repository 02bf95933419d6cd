package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// perMesh is how many of the idle sessions share a mesh. Everyone in a mesh is
// told who joins it, so that in one alone the joining would grow with the
// square of their number, as it does nowhere: a broker admits 100 by default.
const perMesh = 500

// crowd measures what many idle connections cost, and what they do to the
// latency of two that are not.
func (su *suite) crowd(ctx context.Context, b *bed) error {
	meshes, err := b.moreMeshes(ctx, (su.idle+perMesh-1)/perMesh)
	if err != nil {
		return err
	}
	if err := su.warm(ctx, b); err != nil {
		return err
	}
	quiet, err := su.relativeLatency(ctx, b, "quiet")
	if err != nil {
		return err
	}
	rest := su.rest(ctx, b)
	held, err := su.hold(ctx, b, meshes)
	defer held.release()
	if err != nil {
		return err
	}
	full := su.rest(ctx, b)
	su.series.addKnown("crowd rss", float64(full.RSS)/(1<<20), full)
	su.series.addKnown("crowd connection", float64(full.RSS-rest.RSS)/(1<<10)/float64(su.idle), full)
	crowded, err := su.relativeLatency(ctx, b, "crowded")
	if err != nil {
		return err
	}
	su.series.add("crowd slowdown", crowded/quiet)
	return nil
}

// relativeLatency returns the latency of one client in units of L.
func (su *suite) relativeLatency(ctx context.Context, b *bed, name string) (float64, error) {
	const blocks = 3
	for range blocks {
		l, acks, _, err := b.latency(ctx, su.pace.latency, su.pace.limit)
		if err != nil {
			return 0, err
		}
		su.series.add(name+" L", l)
		su.series.add(name+" ack", spread(acks).P50)
	}
	return su.series.ratio(name+" ack", name+" L"), nil
}

// moreMeshes makes meshes on our broker, with a member each.
func (b *bed) moreMeshes(ctx context.Context, n int) ([]*peer.Mesh, error) {
	c, err := b.broker.Config()
	if err != nil {
		return nil, err
	}
	if len(c.Brokers) == 0 {
		return nil, errors.New("the broker's configuration has no token to make meshes with")
	}
	meshes := make([]*peer.Mesh, n)
	for i := range meshes {
		owned, err := peer.Create(ctx, b.broker.ConfigDir(), c.Brokers[0], "idle-"+strconv.Itoa(i), "")
		if err != nil {
			return nil, err
		}
		link, _, err := owned.Invite(ctx, peer.InviteSpec{Uses: 1, Expires: time.Hour, Role: wire.Ordinary})
		if err != nil {
			return nil, err
		}
		joined, err := peer.Join(ctx, peer.JoinRequest{Link: link, DisplayName: "bench"})
		if err != nil {
			return nil, err
		}
		meshes[i] = &joined.Mesh
	}
	return meshes, nil
}

// A held is idle sessions, each of which has received one message. They go on
// answering pings until they are released.
type held struct {
	crews   []*crew
	running sync.WaitGroup
}

// hold connects the idle sessions. What it returns is to be released, with an
// error too.
func (su *suite) hold(ctx context.Context, b *bed, meshes []*peer.Mesh) (*held, error) {
	h := &held{}
	for i, mesh := range meshes {
		n := min(perMesh, su.idle-i*perMesh)
		su.stage("%d of %d idle connections", i*perMesh, su.idle)
		cr, err := assemble(ctx, mesh, workload{Senders: 1, Receivers: n, Fanout: n, Size: suiteSize, Inflight: 1, Paced: true, Messages: 1})
		if err != nil {
			return h, fmt.Errorf("connection %d: %w", i*perMesh, err)
		}
		h.crews = append(h.crews, cr)
		if _, err := su.once(ctx, b, cr); err != nil {
			return h, err
		}
		idle := &count{epoch: time.Now()}
		for _, r := range cr.receivers {
			r.conn.SetReadDeadline(time.Time{})
			h.running.Go(func() { _ = r.run(idle) }) // it ends with the connection
		}
	}
	return h, nil
}

// release cuts the connections, without the goodbye of each.
func (h *held) release() {
	for _, cr := range h.crews {
		for _, r := range cr.receivers {
			r.conn.Close()
		}
		for _, s := range cr.senders {
			s.conn.Close()
		}
	}
	h.running.Wait()
}
