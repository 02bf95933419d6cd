package wire

// Priority says how a message meets a busy recipient.
type Priority string

// The priorities.
const (
	Now  Priority = "now"  // interrupts, even a recipient in dnd
	Next Priority = "next" // when the recipient is idle; the default
	Low  Priority = "low"  // held like next, shown without urgency
)

// Priorities are all priorities, the most urgent first.
var Priorities = [...]Priority{Now, Next, Low}

// Rank numbers the priorities from 0 for Now; -1 for anything else.
func (p Priority) Rank() int {
	for i, q := range Priorities {
		if p == q {
			return i
		}
	}
	return -1
}

// Status is what a session says it is doing.
type Status string

// The statuses.
const (
	Idle    Status = "idle"
	Working Status = "working"
	DND     Status = "dnd"
)

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool { return s == Idle || s == Working || s == DND }

// Allows reports whether a message of priority p may be pushed to a session
// in status s; otherwise it is held until the status changes.
func (s Status) Allows(p Priority) bool { return s == Idle || p == Now }

// Source is where a status came from.
type Source string

// The sources, in the order of their rank.
const (
	SourceHook   Source = "hook"   // a signed POST /hook/set-status
	SourceManual Source = "manual" // a set_status frame
	SourceJSONL  Source = "jsonl"  // inferred from a transcript, or the initial value
)

// Rank orders the sources: a lower-ranked one does not replace a fresh
// higher-ranked one. It is 0 for anything but the three sources.
func (s Source) Rank() int {
	switch s {
	case SourceHook:
		return 3
	case SourceManual:
		return 2
	case SourceJSONL:
		return 1
	}
	return 0
}
