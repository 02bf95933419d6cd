package wire

// Schedule asks the broker to send a message later, once or over and over. The
// message is sent in the name of the member, whether it is connected then or
// not. It is answered by a ScheduledAck or an Error.
type Schedule struct {
	// ID is the sender's own id for the request, of at most MaxSendID characters. A
	// request of the same member with the same id and content, within a day, is answered as
	// the first was and makes no second entry, also when that was sent or cancelled
	// since; with other content it is refused as a conflict.
	ID string `json:"id,omitempty"`
	To string `json:"to"` // a target, as in Send
	// Message is the text, which the broker reads and stores. It is left out
	// where an envelope is given.
	Message string `json:"message"`
	// DeliverAt is when; a past moment is now. It is required without cron or
	// delay, and ignored with either.
	DeliverAt *Millis `json:"deliverAt,omitempty"`
	// Delay is how many milliseconds from now, by the clock that the entry goes by.
	Delay *int64 `json:"delay,omitempty"`
	// Cron makes the entry recurring: five fields, or a form such as @daily.
	Cron string `json:"cron,omitempty"`
	// TZ is the IANA name of the time zone of the cron expression; UTC if left out.
	TZ string `json:"tz,omitempty"`
	// Missed says what becomes of what came due while the broker was not running.
	Missed Missed `json:"missed,omitempty"`
	// Clock is the clock by which the entry comes due.
	Clock ClockName `json:"clock,omitempty"`
	// Subtype is copied to the push: "reminder" or nothing.
	Subtype string `json:"subtype,omitempty"`
	// Recurring is implied by cron and otherwise ignored.
	Recurring bool `json:"recurring,omitempty"`
	// Nonce and Ciphertext are an envelope in place of the message, for a target
	// that is one key. It must be sealed by the key of the member, not that of a
	// session: the message shows that key as its sender.
	Nonce      string `json:"nonce,omitempty"`
	Ciphertext string `json:"ciphertext,omitempty"`
}

// Missed is what becomes of what a schedule could not send in time.
type Missed string

// The policies for what was missed by more than a minute.
const (
	MissedOnce Missed = "once" // sent once, however often it was missed; the default
	MissedSkip Missed = "skip" // not sent
	MissedAll  Missed = "all"  // sent as often as it was missed, the last MaxMissed times
)

// ClockName names a clock that schedules go by.
type ClockName string

// The clocks.
const (
	RealClock ClockName = "real" // the broker's; the default
	SimClock  ClockName = "sim"  // the simulation clock of the mesh, which must have been set
)

// ScheduledAck answers Schedule.
type ScheduledAck struct {
	ScheduledID string `json:"scheduledId"`    // id of the entry, a UUID
	DeliverAt   Millis `json:"deliverAt"`      // when it is first due
	Cron        string `json:"cron,omitempty"` // as it was given
	// Unknown is set where the mesh has never seen the key it is for.
	Unknown bool `json:"unknown,omitempty"`
	// Duplicate says that this repeats the answer to an earlier request with the same id.
	Duplicate bool `json:"duplicate,omitempty"`
}

// ListScheduled asks for the entries of the caller's member that are still to come.
type ListScheduled struct{}

// ScheduledList answers ListScheduled, what is due first in front.
type ScheduledList struct {
	Messages []Scheduled `json:"messages"`
}

// Scheduled is a scheduled message.
type Scheduled struct {
	ID         string    `json:"id"`
	To         string    `json:"to"` // a key, @group or *
	Message    string    `json:"message"`
	DeliverAt  Millis    `json:"deliverAt"` // when it is next due
	CreatedAt  Millis    `json:"createdAt"`
	Cron       string    `json:"cron,omitempty"`       // of recurring entries
	FiredCount *int      `json:"firedCount,omitempty"` // of recurring entries
	TZ         string    `json:"tz,omitempty"`         // time zone of cron; UTC if left out
	Missed     Missed    `json:"missed,omitempty"`     // what comes of times at which the broker was not running
	Clock      ClockName `json:"clock,omitempty"`      // the clock that it goes by
	Subtype    string    `json:"subtype,omitempty"`    // reminder, or none
	Nonce      string    `json:"nonce,omitempty"`
	Ciphertext string    `json:"ciphertext,omitempty"`
	// Cut says that the message is left out, because the list is long.
	Cut bool `json:"cut,omitempty"`
	// LastMessageID is the id of the message that was sent last.
	LastMessageID string `json:"lastMessageId,omitempty"`
}

// CancelScheduled ends an entry of the caller's member.
type CancelScheduled struct {
	ScheduledID string `json:"scheduledId"` // or its first 8 characters or more
}

// CancelScheduledAck answers CancelScheduled.
type CancelScheduledAck struct {
	ScheduledID string `json:"scheduledId"` // in full where it was ended
	OK          bool   `json:"ok"`          // false: there is no such entry of the caller, or no longer
}

func (Schedule) FrameType() Type           { return "schedule" }
func (ScheduledAck) FrameType() Type       { return "scheduled_ack" }
func (ListScheduled) FrameType() Type      { return "list_scheduled" }
func (ScheduledList) FrameType() Type      { return "scheduled_list" }
func (CancelScheduled) FrameType() Type    { return "cancel_scheduled" }
func (CancelScheduledAck) FrameType() Type { return "cancel_scheduled_ack" }

func (Schedule) answer() (r ScheduledAck)              { return }
func (ListScheduled) answer() (r ScheduledList)        { return }
func (CancelScheduled) answer() (r CancelScheduledAck) { return }
