package peer

import (
	"context"
	"errors"
	"strconv"
	"time"

	"claudemesh/wire"
)

// ErrNoSession says that no process of this machine and user holds the
// session's connections. A caller goes to the broker itself.
var ErrNoSession = errors.New("no running process holds this session")

// The ways by which mail reaches a model, as MailRequest.Way and Way.Name have
// them.
const (
	WayChannel = "channel" // notification of the MCP server, where the host takes them
	WayNative  = "native"  // the host's own messaging socket, opt-in
	WayWake    = "wake"    // a waiter of the host that starts a turn
	WayHook    = "hook"    // context that a hook adds to a turn
	WayStop    = "stop"    // a Stop hook that goes on with the turn
	WayDigest  = "digest"  // the end of a tool's result
	WayCheck   = "check"   // the tool check_messages
	WayInbox   = "inbox"   // a command that was asked for the mail
	WayWatch   = "watch"   // a command that prints mail as it comes
	WayReply   = "reply"   // an answer to it, which shows that the model had it
)

// A SessionHandler answers the processes that run inside a host session. Its
// methods are called concurrently; ctx ends when the caller is gone.
type SessionHandler interface {
	Mail(ctx context.Context, req MailRequest) (MailAnswer, error)
	Shown(ctx context.Context, req ShownRequest) error
	Report(ctx context.Context, req StatusReport) error
	Ways(ctx context.Context) (WaysAnswer, error)
}

// MailRequest asks for mail that the session's model has not seen. What is
// given to one way is given to no other meanwhile.
type MailRequest struct {
	Way   string `json:"way"`             // one of the Way constants
	Event string `json:"event,omitempty"` // name of the hook's event
	// HostPID is the process of the host program that a hook is of. With it what
	// is shown at a session's start is seen with the first turn, not before.
	HostPID int `json:"hostPid,omitempty"`
	// WaitMillis is how long to wait if there is none, at most 10 minutes.
	WaitMillis int `json:"waitMillis,omitempty"`
	// CatchUpMillis is how long to wait, at most 5 s, for what was on its way from
	// the brokers when the process that answers came up.
	CatchUpMillis int `json:"catchUpMillis,omitempty"`
	// MaxBytes bounds MailAnswer.Text; 0 is 8000.
	MaxBytes int `json:"maxBytes,omitempty"`
	// Peek looks only: nothing is marked as seen or kept from other ways.
	Peek bool `json:"peek,omitempty"`
	// OnlyNew leaves out what another way may have shown already.
	OnlyNew bool `json:"onlyNew,omitempty"`
	// Mesh is the slug or id of the only mesh whose mail is wanted; empty for all.
	Mesh string `json:"mesh,omitempty"`
	// Whole asks for Records, to be shown by the caller, instead of Text: all of
	// them count as carried in full.
	Whole bool `json:"whole,omitempty"`
	// After leaves out what came no later than this MailAnswer.Mark.
	After int64 `json:"after,omitempty"`
	// Confirm announces that Shown will be called. Without it the mail that
	// Text carries in full counts as seen once the answer was written; with it,
	// only then, and what is not confirmed within 20 s is offered again.
	Confirm bool `json:"confirm,omitempty"`
}

// MailAnswer is what there is to show.
type MailAnswer struct {
	Records []MailRecord `json:"records,omitempty"` // in the order of Text
	// More counts unseen messages that are not in Records.
	More int `json:"more,omitempty"`
	// Text is ready to be put before a model: every message labelled as the
	// words of a peer and made harmless. Empty if there is nothing to show.
	Text string `json:"text,omitempty"`
	// Mark is the place of the last of Records in all mail of the session.
	Mark int64 `json:"mark,omitempty"`
}

// Empty reports whether there is nothing to show.
func (a *MailAnswer) Empty() bool { return a.Text == "" && len(a.Records) == 0 }

// MailRecord is a message and how it stands in MailAnswer.Text. One that is not
// Full comes without its plaintext.
type MailRecord struct {
	Mesh string `json:"mesh"` // slug
	Record
	Full  bool `json:"full"`            // Text has all of it, not only id, sender and first line
	Again bool `json:"again,omitempty"` // it may have been shown before
}

// ShownRequest confirms that the text with these messages was put before the
// model. Only ids that Records had as Full count as seen. With WayReply it says
// that the model answered them.
type ShownRequest struct {
	Way        string   `json:"way"`
	MessageIDs []string `json:"messageIds"`
	// Failed takes the confirmation's place: the text was not put before the
	// model, and its messages are free for other ways at once.
	Failed bool `json:"failed,omitempty"`
}

// StatusReport says what the session is doing.
type StatusReport struct {
	Status wire.Status `json:"status"`
	Source wire.Source `json:"source"`
}

// WaysAnswer says how mail reaches the session's model.
type WaysAnswer struct {
	Session string      `json:"session"` // host session id
	PID     int         `json:"pid"`     // of the process that answers
	Mode    string      `json:"mode"`    // push, inbox or off
	Unseen  int         `json:"unseen"`  // messages that the model has not seen
	Meshes  []MeshState `json:"meshes"`
	Ways    []Way       `json:"ways"`
}

// MeshState is how the session stands with one mesh.
type MeshState struct {
	Slug   string `json:"slug"`
	State  string `json:"state"`            // as State.String has it
	Reason string `json:"reason,omitempty"` // why it is not open
}

// A Way is a way by which mail can reach the model.
type Way struct {
	Name string `json:"name"`
	Open bool   `json:"open"` // as far as this side can know
	// LastWorked is when it last carried mail, zero for never.
	LastWorked time.Time `json:"lastWorked,omitzero"`
	Note       string    `json:"note,omitempty"`
}

// ProcessSession returns the name under which a session's process can be
// found too: that of the host program, by its process id. It stays when the
// host changes the session's id.
func ProcessSession(pid int) string { return "pid:" + strconv.Itoa(pid) }

// DialHost finds the process of the session that the environment names: by
// HostSessionID, else by CLAUDE_PID, the process of the host program.
func DialHost(getenv func(string) string) (*SessionClient, error) {
	if id := HostSessionID(getenv); id != "" {
		if c, err := DialSession(id); err == nil {
			return c, nil
		}
	}
	pid, err := strconv.Atoi(getenv("CLAUDE_PID"))
	if err != nil || pid <= 0 {
		return nil, ErrNoSession
	}
	return DialSession(ProcessSession(pid))
}

// InsideSession returns the host session that this process runs in: the one that
// the process found by CLAUDE_PID holds, for the host may have given the session
// another id since, else HostSessionID.
func InsideSession(getenv func(string) string) string {
	id := HostSessionID(getenv)
	pid, err := strconv.Atoi(getenv("CLAUDE_PID"))
	if err != nil || pid <= 0 {
		return id
	}
	if _, err := DialSession(id); err == nil {
		return id
	}
	c, err := DialSession(ProcessSession(pid))
	if err != nil {
		return id
	}
	ctx, cancel := context.WithTimeout(context.Background(), localIO)
	defer cancel()
	if w, err := c.Ways(ctx); err == nil && w.Session != "" {
		return w.Session
	}
	return id
}
