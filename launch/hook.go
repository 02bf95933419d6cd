package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	hookTime   = 1500 * time.Millisecond // for all that a hook does before it has printed
	startTime  = 3500 * time.Millisecond // the same at the start of a session, when nobody waits for a turn
	stdinTime  = 500 * time.Millisecond
	reportTime = time.Second
	// confirmTime is for saying that mail was printed, which would come again
	// otherwise.
	confirmTime = 500 * time.Millisecond
	maxStdin    = 256 << 10
	// maxContext bounds what a hook adds: of more the host shows a part only.
	maxContext = 8000
	// stopLinger is how long Stop waits for mail that the broker held back
	// until the session was idle.
	stopLinger = 100 * time.Millisecond
)

// HookRun is a run of `claudemesh hook`.
type HookRun struct {
	Event     string // of the host, or a status: idle, working, dnd
	Getenv    func(string) string
	ConfigDir string
	Stdin     io.Reader // what the host tells; nil for nothing
	Stdout    io.Writer
	// StandIn gets the mail where no process holds the session; nil for not at
	// all.
	StandIn func(context.Context, Unheld) (StandIn, error)

	slower int // all may take so many times as long, if it is not 0; set in tests
}

// hookInput is what the host tells a hook.
type hookInput struct {
	SessionID      string `json:"session_id"`
	Cwd            string `json:"cwd"`
	StopHookActive bool   `json:"stop_hook_active"`
}

// Hook reports what the session is doing and adds mail that its model has not
// seen to the turn. It takes 2 s at most. The error is for whoever looks for
// a fault; a hook tells the host nothing of it.
func Hook(ctx context.Context, r HookRun) error {
	limit, cancel := context.WithTimeout(ctx, r.time()+r.atMost(confirmTime))
	defer cancel()
	done := make(chan error, 1)
	// What hangs in the system in spite of ctx must not hold up the host: it
	// ends with the process.
	go func() {
		ctx, cancel := context.WithTimeout(limit, r.time())
		defer cancel()
		done <- r.run(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-limit.Done():
		return limit.Err()
	}
}

// time is how long the hook may take before it has printed.
func (r *HookRun) time() time.Duration {
	if r.Event == sessionStart {
		return r.atMost(startTime)
	}
	return r.atMost(hookTime)
}

// atMost is what may take d, unless the hook is slower.
func (r *HookRun) atMost(d time.Duration) time.Duration { return d * time.Duration(max(1, r.slower)) }

func (r *HookRun) run(ctx context.Context) error {
	status, known := statusOf(r.Event)
	if !known {
		return fmt.Errorf("unknown event %q", r.Event)
	}
	in, err := readInput(ctx, r.Stdin, r.atMost(stdinTime))
	if err != nil {
		return err
	}
	err = r.remember(ctx, status, in)
	return errors.Join(err, r.serve(ctx, status, in))
}

// serve does what the event is for, by the session's process or without one.
func (r *HookRun) serve(ctx context.Context, status wire.Status, in hookInput) error {
	if session, err := r.session(in); err == nil {
		_, err := r.ask(ctx, session, status, in)
		return err
	}
	printed, err := r.runAlone(ctx, status, in)
	if printed || !addsMail(r.Event) {
		return err
	}
	// A process that has come up meanwhile may have what waited, from before the
	// brokers heard of the stand-in.
	if session, missing := r.session(in); missing == nil {
		_, late := r.ask(ctx, session, status, in)
		err = errors.Join(err, late)
	}
	return err
}

// remember notes what an event says of the mail that the session began with: it
// came before the model with the first turn, and did not if the session ends or
// begins anew before that.
func (r *HookRun) remember(ctx context.Context, status wire.Status, in hookInput) error {
	start, err := peer.NewStartMail(r.sessionID(in))
	if err != nil {
		return nil // nothing is remembered of such a session
	}
	ctx, cancel := context.WithTimeout(ctx, r.atMost(confirmTime))
	defer cancel()
	if status != "" {
		return start.Turn(ctx)
	}
	return start.Leave(ctx)
}

// ask reports to whoever has the session's mail, and gets that: see mail. Mail
// does not depend on the report: brokers that hang leave time for what came from
// others.
func (r *HookRun) ask(ctx context.Context, box Mailbox, status wire.Status, in hookInput) (printed bool, err error) {
	if status != "" {
		err = r.report(ctx, box, status)
	}
	printed, fault := r.mail(ctx, box, in)
	return printed, errors.Join(err, fault)
}

func (r *HookRun) report(ctx context.Context, box Mailbox, status wire.Status) error {
	ctx, cancel := context.WithTimeout(ctx, r.atMost(reportTime))
	defer cancel()
	return box.Report(ctx, peer.StatusReport{Status: status, Source: wire.SourceHook})
}

// statusOf says what a session is doing after an event, nothing for one that
// does not tell.
func statusOf(event string) (status wire.Status, known bool) {
	switch event {
	case sessionStart, sessionEnd:
		return "", true
	case userPromptSubmit, postToolUse:
		return wire.Working, true
	case stop:
		return wire.Idle, true
	}
	status = wire.Status(event)
	return status, status.Valid()
}

// readInput reads what the host tells, for so long at most. Nothing, and what is
// no JSON, tells nothing.
func readInput(ctx context.Context, stdin io.Reader, within time.Duration) (in hookInput, err error) {
	if stdin == nil {
		return in, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	data := make(chan []byte, 1)
	go func() { // ends with the process if nobody closes the pipe
		p, err := io.ReadAll(io.LimitReader(stdin, maxStdin))
		if err != nil {
			p = nil
		}
		data <- p
	}()
	select {
	case p := <-data:
		if json.Unmarshal(p, &in) != nil {
			return hookInput{}, nil
		}
		return in, nil
	case <-ctx.Done():
		return in, nil
	}
}

// session finds the process that holds the session's mail.
func (r *HookRun) session(in hookInput) (*peer.SessionClient, error) {
	c, err := peer.DialHost(r.Getenv)
	if err != nil && in.SessionID != "" {
		return peer.DialSession(in.SessionID)
	}
	return c, err
}

// sessionID returns the host's id of the session.
func (r *HookRun) sessionID(in hookInput) string {
	if id := peer.HostSessionID(r.Getenv); id != "" {
		return id
	}
	return in.SessionID
}

// addsMail reports whether the host puts before the model what a hook adds at
// an event.
func addsMail(event string) bool {
	return event == sessionStart || event == userPromptSubmit || event == postToolUse || event == stop
}

// post reports the status to the broker of each mesh, in place of the process
// that is not there.
func (r *HookRun) post(ctx context.Context, status wire.Status, in hookInput) error {
	if status == "" {
		return nil
	}
	c, err := peer.LoadConfig(r.ConfigDir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.atMost(reportTime))
	defer cancel()
	h := wire.HookStatus{Cwd: in.Cwd, Status: status, SessionID: r.sessionID(in)}
	if h.Cwd == "" {
		h.Cwd = r.Getenv("CLAUDE_PROJECT_DIR")
	}
	h.PID, _ = strconv.Atoi(r.Getenv("CLAUDE_PID")) // 0 says nothing
	faults := make([]error, len(c.Meshes))
	var wg sync.WaitGroup
	for i := range c.Meshes {
		wg.Go(func() { faults[i] = postStatus(ctx, &c.Meshes[i], h) })
	}
	wg.Wait()
	return errors.Join(faults...)
}

func postStatus(ctx context.Context, m *peer.Mesh, h wire.HookStatus) error {
	api, err := m.API()
	if err != nil {
		return err
	}
	h.MeshID = m.MeshID
	_, err = api.HookStatus(ctx, h)
	return err
}

// mail adds unseen mail to the turn, and goes on with a turn that would end. It
// reports whether there was any.
func (r *HookRun) mail(ctx context.Context, session Mailbox, in hookInput) (printed bool, err error) {
	if !addsMail(r.Event) {
		return false, nil
	}
	req := peer.MailRequest{Way: peer.WayHook, Event: r.Event, MaxBytes: maxContext, Confirm: true}
	if end, ok := ctx.Deadline(); ok {
		req.CatchUpMillis = int(brokerPart * float64(time.Until(end).Milliseconds()))
	}
	req.HostPID, _ = hostPID(r.Getenv) // without one nothing is remembered
	switch r.Event {
	case userPromptSubmit:
		forgetStops(r.Getenv)
	case stop:
		if !mayContinue(r.Getenv, in.StopHookActive) {
			return false, nil
		}
		req.Way, req.WaitMillis = peer.WayStop, int(stopLinger.Milliseconds())
	}
	a, err := session.Mail(ctx, req)
	if err != nil || a.Text == "" {
		return false, err
	}
	if err := r.print(a.Text); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.atMost(confirmTime))
	defer cancel()
	err = session.Shown(ctx, shown(req.Way, a))
	if r.Event == stop {
		countStop(r.Getenv)
		err = errors.Join(err, r.report(ctx, session, wire.Working)) // the turn goes on
	}
	return true, err
}

// print gives the host text to put before the model.
func (r *HookRun) print(text string) error {
	var out struct {
		Specific struct {
			Event   string `json:"hookEventName"`
			Context string `json:"additionalContext"`
		} `json:"hookSpecificOutput"`
	}
	out.Specific.Event, out.Specific.Context = r.Event, text
	line, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = r.Stdout.Write(append(line, '\n'))
	return err
}

// shown confirms what an answer's text carries in full.
func shown(way string, a peer.MailAnswer) peer.ShownRequest {
	s := peer.ShownRequest{Way: way, MessageIDs: []string{}}
	for _, r := range a.Records {
		if r.Full {
			s.MessageIDs = append(s.MessageIDs, r.MessageID)
		}
	}
	return s
}
