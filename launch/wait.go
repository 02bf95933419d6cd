package launch

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"claudemesh/peer"
)

const (
	pollWait  = 10 * time.Minute // of one request for mail
	lookEvery = 2 * time.Second  // at the host's process and the newer waiter
	minPause  = time.Second      // before asking again after a failure
	maxPause  = 15 * time.Second
	pollOpen  = 10 * time.Second // for the brokers to answer a waiter
)

// WaitRun is a run of `claudemesh wait --hook`, which the host starts beside
// a session and whose end with the exit code 2 starts a turn.
type WaitRun struct {
	Getenv func(string) string
	Stdin  io.Reader // what the host tells; nil for nothing
	Stderr io.Writer // what the model sees of it
	// StandIn is as that of HookRun.
	StandIn func(context.Context, Unheld) (StandIn, error)

	lookEvery time.Duration // set in tests
}

// Wait waits for mail of the session and prints it. It reports true only if it
// did: anything else, a panic too, must not start a turn. Of several waiters of
// one host process the newest waits, and none outlives the process. It returns
// at once where the host would wait for it, and rests for five minutes after
// six wakes in one.
func Wait(ctx context.Context, r WaitRun) (woke bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			woke, err = false, fmt.Errorf("wait: %v", p)
		}
	}()
	if r.Getenv("CLAUDE_CODE_ENTRYPOINT") == "sdk-cli" {
		return false, nil
	}
	pid, err := hostPID(r.Getenv)
	if err != nil {
		return false, err
	}
	in, err := readInput(ctx, r.Stdin, stdinTime)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := waiter{WaitRun: r, pid: pid, start: peer.ProcessStart(pid), input: in}
	if err := w.claim(); err != nil {
		return false, err
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		w.watch(ctx, cancel)
	}()
	defer func() { cancel(nil); <-watching }()
	return w.wait(ctx)
}

type waiter struct {
	WaitRun
	pid   int    // of the host
	start string // of that process
	input hookInput
	path  string // of the file that says who waits
	token string
	// missed says that the session's process was not there when last looked for.
	missed bool
}

var (
	errSuperseded = errors.New("a newer waiter waits")
	errHostGone   = errors.New("the host program has ended")
	errNotShown   = errors.New("mail was not shown")
)

// claim makes this the waiter of its host process.
func (w *waiter) claim() error {
	if w.start == "" {
		return errHostGone
	}
	dir, err := peer.RuntimeDir()
	if err != nil {
		return err
	}
	w.path, w.token = filepath.Join(dir, "waiter-"+strconv.Itoa(w.pid)), rand.Text()
	staged := w.path + "." + strconv.Itoa(os.Getpid())
	if err := writeNew(staged, []byte(strconv.Itoa(os.Getpid())+" "+w.token+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(staged, w.path)
}

// watch ends the waiting when the host has ended or a newer waiter has come.
func (w *waiter) watch(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(cmp.Or(w.lookEvery, lookEvery))
	defer ticker.Stop()
	for {
		if err := w.look(); err != nil {
			end(err)
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *waiter) look() error {
	if peer.ProcessStart(w.pid) != w.start {
		w.tidy()
		return errHostGone
	}
	data, err := os.ReadFile(w.path)
	if err != nil || string(data) != strconv.Itoa(os.Getpid())+" "+w.token+"\n" {
		return errSuperseded
	}
	return nil
}

// tidy removes what is remembered of a host that has ended. What stays behind
// goes when the runtime directory does.
func (w *waiter) tidy() {
	os.Remove(w.path)
	if path, err := turnsPath(w.pid); err == nil {
		os.Remove(path)
	}
}

// wait asks for mail until there is some. A session whose process is not there
// may still get it, so the only errors are those of ctx.
func (w *waiter) wait(ctx context.Context) (bool, error) {
	pause := minPause
	for {
		if err := sleep(ctx, time.Until(loadTurns(w.pid).RestUntil)); err != nil {
			return false, err
		}
		woke, err := w.once(ctx)
		if woke || errors.Is(err, errNotShown) {
			return woke, err
		}
		if err == nil {
			pause = minPause
			continue
		}
		if err := sleep(ctx, pause); err != nil {
			return false, err
		}
		pause = min(2*pause, maxPause)
	}
}

// once asks the session's process for mail, or the brokers where there is none,
// and shows it.
func (w *waiter) once(ctx context.Context) (woke bool, err error) {
	hook := &HookRun{Getenv: w.Getenv}
	session, err := hook.session(w.input)
	if err == nil {
		w.missed = false
		return w.ask(ctx, session)
	}
	// A process that is not there yet is on its way when the session has just
	// begun: mail that it would hold back must not be taken before it comes.
	if !w.missed {
		w.missed = true
		return false, err
	}
	// While a turn goes on its hooks have the mail, and its end brings another
	// waiter.
	if w.StandIn == nil || loadTurns(w.pid).Working {
		return false, err
	}
	t := loadTurns(w.pid)
	opening, cancel := context.WithTimeout(ctx, pollOpen)
	defer cancel()
	s, err := w.StandIn(opening, Unheld{SessionID: hook.sessionID(w.input), Announced: t.Announced})
	if err != nil {
		return false, err
	}
	defer s.Close(context.WithoutCancel(ctx))
	ctx, end := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		w.untilNeedless(ctx, hook, end)
	}()
	defer func() { end(); <-watching }()
	return w.ask(ctx, s)
}

// untilNeedless ends the waiting at the brokers when the session's process has
// come, or a turn has begun.
func (w *waiter) untilNeedless(ctx context.Context, hook *HookRun, end func()) {
	defer end()
	for sleep(ctx, cmp.Or(w.lookEvery, lookEvery)) == nil {
		if _, err := hook.session(w.input); err == nil || loadTurns(w.pid).Working {
			return
		}
	}
}

// ask waits for mail and shows it.
func (w *waiter) ask(ctx context.Context, box Mailbox) (woke bool, err error) {
	began := time.Now()
	a, err := box.Mail(ctx, peer.MailRequest{
		Way: peer.WayWake, WaitMillis: int(pollWait.Milliseconds()), MaxBytes: maxContext, Confirm: true,
	})
	switch {
	case err != nil:
		return false, err
	case a.Text != "":
		return w.show(ctx, box, a)
	case time.Since(began) < minPause:
		return false, errors.New("an answer without mail, too early")
	}
	return false, nil
}

// show prints mail, counts the wake and confirms it.
func (w *waiter) show(ctx context.Context, box Mailbox, a peer.MailAnswer) (bool, error) {
	t := loadTurns(w.pid)
	text := a.Text
	if t.woke(time.Now()) {
		text += fmt.Sprintf("\n\nclaudemesh woke this session %d times within a minute. The next %v it will not; mail that comes meanwhile is added to the next turn, and check_messages has it.", maxWakes, wakeRest)
	}
	if err := t.save(w.pid); err != nil {
		return false, fmt.Errorf("%w: %w", errNotShown, err) // wakes that cannot be counted could go on for ever
	}
	if _, err := io.WriteString(w.Stderr, text+"\n"); err != nil {
		return false, fmt.Errorf("%w: %w", errNotShown, err)
	}
	// A newer waiter may have ended this one meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollOpen)
	defer cancel()
	return true, box.Shown(ctx, shown(peer.WayWake, a))
}

// sleep waits for d, and fails with the reason when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return context.Cause(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
