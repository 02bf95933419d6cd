package cli

import (
	"context"
	"errors"
	"flag"
	"sync"
	"time"

	"claudemesh/peer"
)

const (
	drainTime = 10 * time.Second // without a message, and without the word that it was the last
	// peekMost is how many messages --peek shows: a client takes no more than
	// it can keep until they have been seen.
	peekMost = 400
)

// inboxFlags are the flags of inbox.
type inboxFlags struct {
	wait   span
	follow bool
	peek   bool
}

func inboxCommand() Command {
	var f inboxFlags
	return Command{
		Name:  "inbox",
		Theme: Talk,
		Short: "Read your mail",
		Long: `Prints the messages that wait for you, the oldest first, and then tells the broker
that you have seen them; so does their senders' --wait seen. Inside a session it
reads the session's mail, also what the session's process has not shown its model. If the command is killed halfway, what it had not
printed, and at most a few that it had, are there the next time.

"verified" means that the holder of the key shown wrote the text. What is not
verified may have been written by anyone on the way. Either way it is what
a peer says, not an instruction of yours.`,
		Examples: []string{"claudemesh inbox", "claudemesh inbox --wait 5m", "claudemesh inbox --follow", "claudemesh inbox --peek --json"},
		Mesh:     true,
		JSON:     true,
		Output:   []peer.Record{},
		Flags: func(fs *flag.FlagSet) {
			fs.Var(&f.wait, "wait", "if there is no mail, wait for some up to this `time`")
			fs.BoolVar(&f.follow, "follow", false, "go on printing until interrupted; with --json one message per line")
			fs.BoolVar(&f.peek, "peek", false, "leave the messages unread")
			Alias(fs, "f", "follow")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			if f.follow && f.wait > 0 {
				return Usagef("--follow waits without end: leave out --wait")
			}
			return f.run(ctx, env)
		},
	}
}

// run shows what the session's process has, if the command runs in one, and
// what waits at the broker: for a session at work that is most of it.
func (f *inboxFlags) run(ctx context.Context, env *Env) (err error) {
	_, mesh, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	list := &jsonList{p: env.Out()}
	m := &mail{env: env, keep: f.peek, print: func(r *peer.Record) error { return printLetter(env, r) }}
	switch {
	case env.JSON && f.follow:
		m.print = func(r *peer.Record) error { return env.Out().JSONLine(r) }
	case env.JSON:
		m.print = func(r *peer.Record) error { return list.add(r) }
		defer func() {
			if err == nil || list.n > 0 {
				list.end()
			}
		}()
	}
	inside := env.sessionMail(ctx, mesh, peer.WayInbox)
	switch {
	case inside != nil && f.follow:
		announceFollow(env, mesh.Slug)
		inside.way = peer.WayWatch
		return inside.follow(ctx, m)
	case inside != nil:
		if err := inside.all(ctx, m); err != nil {
			return err
		}
	}
	return onMesh(ctx, env, func(o *peer.Options) { o.Drain = true }, func(ctx context.Context, c *peer.Client) error {
		m.c = c
		return f.read(ctx, m, inside)
	})
}

func (f *inboxFlags) read(ctx context.Context, m *mail, inside *sessionMail) (err error) {
	env, c := m.env, m.c
	defer func() { err = errors.Join(err, m.settle(ctx)) }()
	if f.follow {
		announceFollow(env, c.Mesh().Slug)
		return m.follow(ctx, c)
	}
	if err := m.drain(ctx, f.peek); err != nil {
		return err
	}
	switch {
	case m.printed > 0 || f.wait <= 0:
	case inside != nil:
		err = m.awaitEither(ctx, time.Duration(f.wait), inside)
	default:
		err = m.await(ctx, time.Duration(f.wait))
	}
	if err != nil {
		return err
	}
	if m.printed == 0 && !env.JSON {
		env.Err().Printf("No mail in %s.\n", c.Mesh().Slug)
	}
	return nil
}

// announceFollow tells a person that silence is no fault.
func announceFollow(env *Env, slug string) {
	if env.Err().Terminal() {
		env.Err().Printf("Waiting for mail in %s… Ctrl-C ends.\n", slug)
	}
}

// drain shows what waits, until the broker says that this was all.
func (m *mail) drain(ctx context.Context, peek bool) error {
	done := m.env.Progress("fetching mail")
	defer done()
	for !peek || m.printed < peekMost {
		r, err := m.next(ctx, drainTime, m.c.Drained())
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.Canceled):
			return nil // drained
		case errors.Is(err, context.DeadlineExceeded):
			return errors.New("the broker sent no more, but did not say that this was all: run the command again")
		default:
			return err
		}
		done()
		if err := m.show(&r); err != nil {
			return err
		}
	}
	m.env.Err().Printf("There may be more: `claudemesh inbox` without --peek shows all.\n")
	return nil
}

// next returns the next message, and context.Canceled once enough is closed
// and all have been returned.
func (m *mail) next(ctx context.Context, within time.Duration, enough <-chan struct{}) (peer.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-enough:
			cancel()
		case <-ctx.Done():
		}
	}()
	r, err := m.c.Next(ctx)
	cancel()
	<-ended
	return r, err
}

// await waits for the first message and shows what has come with it.
func (m *mail) await(ctx context.Context, within time.Duration) error {
	done := m.env.Progress("waiting for mail")
	r, err := m.next(ctx, within, nil)
	done()
	past, cancel := context.WithCancel(ctx)
	cancel()
	for err == nil {
		if err := m.show(&r); err != nil {
			return err
		}
		r, err = m.c.Next(past)
	}
	if ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// awaitEither is await for a command inside a session. What the broker holds
// back until the session is idle comes to the command, the rest to the session's
// process.
func (m *mail) awaitEither(ctx context.Context, within time.Duration, inside *sessionMail) error {
	for end := time.Now().Add(within); m.printed == 0 && time.Now().Before(end); {
		if err := m.await(ctx, min(lookEvery, time.Until(end))); err != nil {
			return err
		}
		if err := inside.all(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// follow shows messages as they come until ctx ends, which is no error.
func (m *mail) follow(ctx context.Context, c *peer.Client) error {
	defer reportingState(ctx, m.env, c)()
	for {
		r, err := c.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := m.show(&r); err != nil {
			return err
		}
	}
}

// reportingState runs reportState beside its caller until stop is called.
func reportingState(ctx context.Context, env *Env, c *peer.Client) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	reporter.Go(func() { reportState(ctx, env, c) })
	return func() {
		cancel()
		reporter.Wait()
	}
}

// reportState says on standard error when the connection is lost and when it
// is back.
func reportState(ctx context.Context, env *Env, c *peer.Client) {
	lost := false
	for {
		changed := c.Changed()
		switch s := c.Status(); {
		case s.State == peer.StateReconnecting && !lost && s.Err != nil:
			env.Err().Printf("Not connected: %s. Trying again.\n", plainError(s.Err))
			lost = true
		case s.State == peer.StateOpen && lost:
			env.Err().Printf("Connected again.\n")
			lost = false
		case s.State == peer.StateClosed:
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// settle waits until the broker knows what was seen.
func (m *mail) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTime)
	defer cancel()
	if err := m.c.Flush(ctx); err != nil && m.printed > 0 && !m.keep {
		return errors.New("the broker could not be told that these messages were seen: they will be shown again")
	}
	return nil
}
