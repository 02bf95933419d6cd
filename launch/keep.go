package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"claudemesh/peer"
)

const (
	// WakesPerHour is how often a closed session is woken at most, unless its
	// owner says otherwise.
	WakesPerHour = 6
	// keptClosed is how long a closed session that no mail wakes is waited for.
	keptClosed = 24 * time.Hour
	// maxFailures wakes in a row that fail are the last.
	maxFailures = 5
	firstRetry  = 2 * time.Second // after a failure; each time 8 times as long
	promptBytes = 16_000
	keeperLook  = time.Second // at the host's process, and at whether to go on
	maxNoted    = 4096        // messages whose fate is remembered
)

// KeepRun is a run of `claudemesh keep`, which waits for mail of a launched
// session while that is closed.
type KeepRun struct {
	SessionID string
	// WakesPerHour is how often the session is woken at most.
	WakesPerHour int
	// Compose puts messages into words for a model, as the hooks do, in about
	// max bytes; mode is push, inbox or off.
	Compose func(slug, mode string, records []peer.Record, max int) peer.MailAnswer
	// Hint returns what the system prompt of a session in a mesh is to have, as Launch
	// adds it, "" for nothing.
	Hint func(meshID string) (string, error)
	// Prompted is the variable that tells the session's MCP server which
	// messages the prompt has shown.
	Prompted string
	// Logger takes what was done, without the text of any message.
	Logger *slog.Logger
}

var (
	errStopped = errors.New("nobody wants the session to be woken any more")
	errIdle    = fmt.Errorf("no mail came for %v", keptClosed)
	errOpened  = errors.New("the session was opened")
)

// Keep waits until the host of a launched session has ended, connects as that
// session and, when mail comes, has the host resume it in print mode with the
// mail as the prompt. The mail counts as seen if that run ends well; else it is
// tried again. There is one keeper of a session, which wakes it only while no
// process has it and not too often. It ends when StopWaking says so, after
// a day without mail, after five failures in a row, and when the membership
// ends; what is kept of the session is tidied up then.
func (h *Host) Keep(ctx context.Context, r KeepRun) error {
	if !peer.ValidHostSession(r.SessionID) {
		return fmt.Errorf("%q is no id of a session", r.SessionID)
	}
	token, release, err := h.claimKeeper(r.SessionID)
	if err != nil {
		return err
	}
	defer release()
	ctx, end := context.WithCancelCause(ctx)
	k := &keeper{
		KeepRun: r, host: h, dir: h.sessionDir(r.SessionID), used: time.Now(),
		shown: make(map[string]bool), announced: make(map[string]bool),
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		k.watch(ctx, token, end)
	}()
	err = k.run(ctx)
	end(nil)
	<-watching
	k.Logger.Info("the session is not woken any more", "why", err)
	k.tidy(token)
	if errors.Is(err, errStopped) || errors.Is(err, errIdle) {
		return nil
	}
	return err
}

// A keeper is one run of Keep.
type keeper struct {
	KeepRun
	host *Host
	dir  string // of the session

	shown     map[string]bool // ids of messages that a run has shown: to be reported
	announced map[string]bool // ids of messages of which a run was given the first line
	pace      pace
	failures  int       // in a row
	used      time.Time // when the session was last seen open or woken
}

// watch ends the keeper when it is no longer wanted.
func (k *keeper) watch(ctx context.Context, token string, end context.CancelCauseFunc) {
	ticker := time.NewTicker(keeperLook)
	defer ticker.Stop()
	for readKeeper(k.dir).Token == token {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
	end(errStopped)
}

// tidy removes what is kept for waking, unless somebody has opened the session
// or keeps it meanwhile.
func (k *keeper) tidy(token string) {
	if readKeeper(k.dir).Token == token {
		os.Remove(filepath.Join(k.dir, keeperName))
	}
	if inUse(k.dir) {
		return
	}
	if err := tidyDir(k.dir); err != nil {
		k.Logger.Warn("not tidied up", "err", err)
	}
}

// run waits and wakes until there is a reason to end.
func (k *keeper) run(ctx context.Context) error {
	for {
		if err := k.awaitClosed(ctx); err != nil {
			return err
		}
		err := k.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errOpened):
			k.Logger.Info("the session was opened by somebody")
		case err != nil:
			return err
		}
	}
}

// awaitClosed waits until no process has the session.
func (k *keeper) awaitClosed(ctx context.Context) error {
	for k.host.running(k.SessionID) {
		k.used = time.Now()
		if err := sleep(ctx, keeperLook); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// turn waits for mail and wakes the session with it. An error ends the keeper,
// but for errOpened.
func (k *keeper) turn(ctx context.Context) error {
	slug, mode, records, err := k.collect(ctx)
	if err != nil {
		return err
	}
	if k.host.running(k.SessionID) {
		return errOpened
	}
	mail := k.Compose(slug, mode, records, promptBytes)
	if mail.Text == "" { // the session wants no mail
		for _, r := range records {
			k.announced[r.MessageID] = true
		}
		return nil
	}
	k.used = time.Now()
	k.Logger.Info("the session is woken", "messages", len(mail.Records))
	next := k.pace.use(k.used, k.WakesPerHour)
	err = k.host.wake(ctx, k, mail, next)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return k.failed(ctx, err)
	}
	k.failures = 0
	k.note(mail.Records)
	k.Logger.Info("the session has ended well")
	if !next.IsZero() {
		k.Logger.Warn("the session was woken too often: it rests", "wakes", k.WakesPerHour, "until", next)
	}
	return nil
}

// failed waits after a failure, ever longer, and gives up after the last.
func (k *keeper) failed(ctx context.Context, err error) error {
	k.failures++
	k.Logger.Warn("the session was not woken: its mail stays unseen", "err", err, "failures", k.failures)
	if k.failures >= maxFailures {
		return fmt.Errorf("the session could not be woken %d times in a row: %w", k.failures, err)
	}
	pause := firstRetry
	for range k.failures - 1 {
		pause *= 8
	}
	return sleep(ctx, pause)
}

// note remembers what became of messages that a run was started with.
func (k *keeper) note(records []peer.MailRecord) {
	if len(k.shown)+len(k.announced) > maxNoted {
		clear(k.shown) // reported long since
		clear(k.announced)
	}
	for _, r := range records {
		if r.Full {
			k.shown[r.MessageID] = true
		} else {
			k.announced[r.MessageID] = true
		}
	}
}
