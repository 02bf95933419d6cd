package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// A pair are two sessions as peers have them: package peer, sealed messages.
type pair struct {
	from, to *peer.Client
}

// openPair connects them. The caller closes them.
func openPair(ctx context.Context, mesh *peer.Mesh) (*pair, error) {
	p := &pair{}
	for _, c := range []**peer.Client{&p.from, &p.to} {
		key, err := seal.Generate()
		if err == nil {
			*c, err = peer.Open(ctx, peer.Options{Mesh: *mesh, SessionKey: key, DisplayName: "bench", Channel: "bench", PID: os.Getpid(), AutoAck: peer.AckOnSeen})
		}
		if err != nil {
			return nil, errors.Join(err, p.close(ctx))
		}
	}
	return p, nil
}

func (p *pair) close(ctx context.Context) (err error) {
	for _, c := range []*peer.Client{p.from, p.to} {
		if c != nil {
			err = errors.Join(err, c.Close(ctx))
		}
	}
	return err
}

// run sends one message after the other for some time, each when the one
// before has its ack and has arrived and been seen. It returns after which
// times the acks and the messages were there.
func (p *pair) run(ctx context.Context, size int, d time.Duration) (acks, pushes []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+stall)
	defer cancel()
	fill := string(filling(size))
	for start, i := time.Now(), 0; time.Since(start) < d; i++ {
		text := fmt.Sprintf("%0*d%s", headSize, i, fill)
		arrived := make(chan moment, 1)
		go func() { // ended by the message or by ctx, and waited for below
			r, err := p.to.Next(ctx)
			arrived <- moment{time.Now(), r, err}
		}()
		from := time.Now()
		_, err := p.from.Send(ctx, peer.SendRequest{Target: p.to.Address(), Text: text})
		acked := time.Since(from)
		if err != nil {
			cancel()
		}
		m := <-arrived
		if err = errors.Join(err, m.err); err != nil {
			return nil, nil, err
		}
		if m.Text() != text || !m.Authenticated {
			return nil, nil, fmt.Errorf("the message %q arrived as %q", text[:headSize], wire.Shorten(m.Text(), headSize))
		}
		acks, pushes = append(acks, acked), append(pushes, m.at.Sub(from))
		p.to.MarkSeen(m.MessageID)
	}
	return acks, pushes, nil
}

// A moment is when a message came.
type moment struct {
	at time.Time
	peer.Record
	err error
}
