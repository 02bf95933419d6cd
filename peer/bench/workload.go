package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// A workload says who sends what to whom.
type workload struct {
	Senders   int  `json:"senders"`
	Receivers int  `json:"receivers"`
	Size      int  `json:"size"`     // bytes of text in a message
	Fanout    int  `json:"fanout"`   // recipients of a message: above 1, a group of that many
	Inflight  int  `json:"inflight"` // messages without an ack, of each sender
	Encrypt   bool `json:"encrypt"`
	// Away has the receivers leave before the messages are sent.
	Away bool `json:"away,omitempty"`
	// Paced has each sender wait for its message to arrive and to be
	// acknowledged by its recipients before it sends the next.
	Paced bool `json:"paced,omitempty"`

	// A sender stops after so many messages, or after so long and one message at
	// least, if not zero.
	Messages int           `json:"messages,omitempty"`
	For      time.Duration `json:"-"`
}

// check returns what is wrong with a workload, naming the flag.
func (w *workload) check() error {
	for _, n := range []struct {
		flag  string
		value int
	}{{"senders", w.Senders}, {"receivers", w.Receivers}, {"messages", w.Messages}, {"inflight", w.Inflight}, {"fanout", w.Fanout}} {
		if n.value < 1 {
			return fmt.Errorf("--%s must be at least 1", n.flag)
		}
	}
	switch {
	case w.Size < headSize || w.Size > maxText:
		return fmt.Errorf("--size must be from %d to %d bytes", headSize, maxText)
	case w.Fanout > w.Receivers:
		return fmt.Errorf("--fanout %d is more than the %d receivers there are", w.Fanout, w.Receivers)
	case w.Receivers%w.Fanout != 0:
		return fmt.Errorf("--receivers must be a multiple of --fanout, so that they can be parted into groups")
	}
	return nil
}

// maxText leaves room in an ordinary frame for base64, a signature and the
// fields around the text.
const maxText = wire.MaxOrdinaryBytes/4*3 - 1024

// A crew is the connected clients of a workload.
type crew struct {
	workload
	senders   []*sender
	receivers []*receiver
	patience  time.Duration // with a broker that does nothing any more
}

const (
	connectAtOnce = 32
	readBuffer    = 4 << 10
)

// assemble connects the clients of w to a mesh. The caller dismisses them.
func assemble(ctx context.Context, mesh *peer.Mesh, w workload) (*crew, error) {
	env, err := newEnvelope(mesh, w.Size, w.Encrypt)
	if err != nil {
		return nil, err
	}
	cr := &crew{workload: w, patience: stall, senders: make([]*sender, w.Senders), receivers: make([]*receiver, w.Receivers)}
	groups := "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-"
	err = inParallel(ctx, w.Receivers, func(ctx context.Context, i int) error {
		var in []wire.Group
		if w.Fanout > 1 {
			in = []wire.Group{{Name: groups + strconv.Itoa(i/w.Fanout)}}
		}
		c, err := connect(ctx, mesh, readBuffer, in...)
		cr.receivers[i] = &receiver{client: c, env: env}
		return err
	})
	if err == nil {
		err = inParallel(ctx, w.Senders, func(ctx context.Context, i int) error {
			c, err := connect(ctx, mesh, readBuffer)
			cr.senders[i] = &sender{client: c, index: uint32(i), env: env, window: w.Inflight}
			return err
		})
	}
	if err == nil {
		err = cr.address(groups)
	}
	if err != nil {
		cr.dismiss()
		return nil, err
	}
	if w.Away {
		hangUp(cr.receivers)
	}
	return cr, nil
}

// address gives the senders their targets.
func (cr *crew) address(groups string) error {
	for _, s := range cr.senders {
		for i := 0; i < cr.Receivers; i += cr.Fanout {
			t := target{spec: "@" + groups + strconv.Itoa(i/cr.Fanout), recipients: cr.Fanout}
			if cr.Fanout == 1 {
				t.spec = cr.receivers[i].address
			}
			if cr.Fanout == 1 && cr.Encrypt {
				var err error
				if t.box, err = seal.NewBox(s.key, cr.receivers[i].key.Public()); err != nil {
					return err
				}
			}
			if cr.Away {
				t.recipients = 0
			}
			s.targets = append(s.targets, t)
		}
	}
	return nil
}

// dismiss ends the connections.
func (cr *crew) dismiss() {
	hangUp(cr.senders)
	if !cr.Away {
		hangUp(cr.receivers)
	}
}

func hangUp[C interface{ leave() }](clients []C) {
	var wg sync.WaitGroup
	for chunk := range slices.Chunk(clients, max(1, len(clients)/connectAtOnce)) {
		wg.Go(func() {
			for _, c := range chunk {
				c.leave()
			}
		})
	}
	wg.Wait()
}

func (s *sender) leave() {
	if s != nil && s.client != nil {
		s.hangUp()
	}
}

func (r *receiver) leave() {
	if r != nil && r.client != nil {
		r.hangUp()
	}
}

// inParallel calls do for 0 to n-1, some at a time, and returns the first error.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, connectAtOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
