package launch

import (
	"context"
	"errors"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	brokerPart = 0.6 // of a hook's time, for the brokers to give what waits
	// brokerRest is how long hooks leave brokers alone that did not answer.
	brokerRest = time.Minute
)

// Unheld is a session that no process holds.
type Unheld struct {
	SessionID string   // of the host
	Busy      bool     // only mail that interrupts is wanted
	Announced []string // messages whose first line was shown by another stand-in
}

// A Mailbox is where the mail of a session comes from: the process that holds
// the session, or what stands in for it.
type Mailbox interface {
	Mail(ctx context.Context, req peer.MailRequest) (peer.MailAnswer, error)
	Shown(ctx context.Context, req peer.ShownRequest) error
	Report(ctx context.Context, req peer.StatusReport) error
}

// A StandIn is a connection to the brokers as a session that no process holds.
// What it gave out and was not told that it was shown goes back with Close.
type StandIn interface {
	Mailbox
	// Announced returns the unseen messages whose first line was shown.
	Announced() []string
	Close(ctx context.Context)
}

// runAlone does without the session's process. Hooks of one turn share what they
// remember, so that brokers which do not answer are not asked by each of them. It
// reports whether there was mail.
func (r *HookRun) runAlone(ctx context.Context, status wire.Status, in hookInput) (printed bool, err error) {
	posted := make(chan error, 1)
	go func() { posted <- r.post(ctx, status, in) }()
	pid, _ := hostPID(r.Getenv) // without one nothing is remembered
	t := loadTurns(pid)
	if status != "" {
		t.Working = status != wire.Idle
	}
	if r.StandIn == nil || !addsMail(r.Event) || time.Now().Before(t.BrokersRest) {
		return false, errors.Join(<-posted, t.keep(pid))
	}
	opening, cancel := context.WithTimeout(ctx, time.Duration(brokerPart*float64(r.time())))
	defer cancel()
	s, err := r.StandIn(opening, Unheld{SessionID: r.sessionID(in), Busy: r.Event == postToolUse, Announced: t.Announced})
	if err != nil {
		t.BrokersRest = time.Now().Add(brokerRest)
		return false, errors.Join(<-posted, err, t.keep(pid))
	}
	defer s.Close(context.WithoutCancel(ctx))
	err = errors.Join(<-posted, t.keep(pid))
	printed, fault := r.mail(ctx, s, in)
	t = loadTurns(pid) // mail counts in it
	t.Announced = s.Announced()
	return printed, errors.Join(err, fault, t.keep(pid))
}
