package wire

// SetStatus says what the session is doing.
type SetStatus struct {
	Status Status `json:"status"`
	// Source is manual if absent; jsonl marks an inference from a transcript.
	Source Source `json:"source,omitempty"`
}

// SetSummary says in a line what the session is about, in at most
// MaxSummary characters.
type SetSummary struct {
	Summary string `json:"summary"`
}

// SetVisible shows or hides the session. A hidden one is absent from the
// lists of others and from multicast; direct messages still reach it.
type SetVisible struct {
	Visible *bool `json:"visible"`
}

// SetProfile changes the fields that are present; an empty one is cleared.
type SetProfile struct {
	Avatar       *string   `json:"avatar,omitempty"`
	Title        *string   `json:"title,omitempty"`
	Bio          *string   `json:"bio,omitempty"`
	Capabilities *[]string `json:"capabilities,omitempty"`
}

// SetStats replaces the session's counters.
type SetStats struct {
	Stats Stats `json:"stats"`
}

// Stats are a session's counters since its process started, or, of an old
// peer, since its state was first saved.
type Stats struct {
	MessagesIn  float64 `json:"messagesIn,omitempty"`
	MessagesOut float64 `json:"messagesOut,omitempty"`
	ToolCalls   float64 `json:"toolCalls,omitempty"`
	Uptime      float64 `json:"uptime,omitempty"` // seconds
	Errors      float64 `json:"errors,omitempty"`
}

// JoinGroup adds the session to a group, or changes its role there.
type JoinGroup struct {
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

// LeaveGroup takes the session out of a group.
type LeaveGroup struct {
	Name string `json:"name"`
}

func (SetStatus) FrameType() Type  { return "set_status" }
func (SetSummary) FrameType() Type { return "set_summary" }
func (SetVisible) FrameType() Type { return "set_visible" }
func (SetProfile) FrameType() Type { return "set_profile" }
func (SetStats) FrameType() Type   { return "set_stats" }
func (JoinGroup) FrameType() Type  { return "join_group" }
func (LeaveGroup) FrameType() Type { return "leave_group" }

func (SetStatus) answer() (r Ack)  { return }
func (SetSummary) answer() (r Ack) { return }
func (SetVisible) answer() (r Ack) { return }
func (SetProfile) answer() (r Ack) { return }
func (SetStats) answer() (r Ack)   { return }
func (JoinGroup) answer() (r Ack)  { return }
func (LeaveGroup) answer() (r Ack) { return }
