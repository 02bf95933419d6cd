package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func stateWatchCommand() Command {
	return Command{
		Name:  "watch",
		Args:  "[prefix]",
		Short: "Print one line per change, until it is interrupted",
		Long: `Others do not see you by it. When the connection is lost it is made again, and
what was changed meanwhile is printed then, each key once.`,
		Examples: []string{"claudemesh state watch", "claudemesh state watch deploy/ --json"},
		Mesh:     true, JSON: true, Output: wire.StateChange{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			w := &stateWatch{env: env, known: map[string]wire.Stamp{}}
			if len(args) == 1 {
				w.prefix = args[0]
			}
			return onMesh(ctx, env, nil, w.run)
		},
	}
}

// A stateWatch prints changes of the state, each once.
type stateWatch struct {
	env    *Env
	prefix string
	known  map[string]wire.Stamp // when each key was last set
}

func (w *stateWatch) run(ctx context.Context, c *peer.Client) error {
	list, err := peer.Call(ctx, c, wire.ListState{})
	if err != nil {
		return err
	}
	for _, e := range list.Entries {
		w.known[e.Key] = e.UpdatedAt
	}
	w.env.Err().Printf("Watching the state of %s. Ctrl-C ends.\n", c.Mesh().Slug)
	defer reportingState(ctx, w.env, c)()
	return w.follow(ctx, c)
}

func (w *stateWatch) follow(ctx context.Context, c *peer.Client) error {
	missed, dropped := false, c.DroppedEvents()
	for {
		changed := c.Changed()
		open := c.State() == peer.StateOpen
		if n := c.DroppedEvents(); n != dropped {
			missed, dropped = true, n
		}
		if missed && open && w.catchUp(ctx, c) == nil {
			missed = false
		}
		missed = missed || !open
		if err := w.env.out.err; err != nil {
			return err
		}
		select {
		case e, ok := <-c.Events():
			if !ok {
				return c.Status().Err
			}
			if s, is := e.Frame.(wire.StateChange); is && !strings.HasPrefix(s.Key, wire.ContextKey) {
				if err := w.change(&s); err != nil {
					return err
				}
			}
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// catchUp prints what was changed while no changes came. Who deleted a key,
// and when, is not known then.
func (w *stateWatch) catchUp(ctx context.Context, c *peer.Client) error {
	list, err := peer.Call(ctx, c, wire.ListState{})
	if err != nil {
		return err
	}
	for _, e := range list.Entries {
		if err := w.change(&wire.StateChange{Key: e.Key, Value: e.Value, UpdatedBy: e.UpdatedBy, UpdatedAt: e.UpdatedAt}); err != nil {
			return err
		}
	}
	for key, last := range w.known {
		if slices.ContainsFunc(list.Entries, func(e wire.StateEntry) bool { return e.Key == key }) {
			continue
		}
		at := wire.StampOf(w.env.Now())
		if !at.Std().After(last.Std()) { // the broker's clock is ahead
			at = wire.StampOf(last.Std().Add(time.Millisecond))
		}
		if err := w.change(&wire.StateChange{Key: key, UpdatedAt: at, Deleted: true}); err != nil {
			return err
		}
	}
	return nil
}

// change prints a change that was not printed before.
func (w *stateWatch) change(s *wire.StateChange) error {
	last, known := w.known[s.Key]
	switch {
	case s.Deleted && !known, !s.UpdatedAt.Std().After(last.Std()):
		return nil
	case s.Deleted:
		delete(w.known, s.Key)
	default:
		w.known[s.Key] = s.UpdatedAt
	}
	if !strings.HasPrefix(s.Key, w.prefix) {
		return nil
	}
	out := w.env.Out()
	if w.env.JSON {
		return out.JSONLine(s)
	}
	at := s.UpdatedAt.String()
	if out.Terminal() {
		at = s.UpdatedAt.Std().In(w.env.Now().Location()).Format(time.TimeOnly)
	}
	by := ""
	if s.UpdatedBy != "" {
		by = " (" + s.UpdatedBy + ")"
	}
	if s.Deleted {
		out.Printf("%s %s deleted%s\n", at, Styled{Bold, s.Key}, by)
		return nil
	}
	out.Printf("%s %s = %s%s\n", at, Styled{Bold, s.Key}, s.Value, by)
	return nil
}
