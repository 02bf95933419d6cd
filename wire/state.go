package wire

// ContextKey begins the key of a StateChange that tells of a ShareContext: the
// name of who shared follows, and the value is the summary. No such entry is
// in the state.
const ContextKey = "_context:"

// SetState sets one key of the state that the members of a mesh share. A key
// of more than MaxStateKey characters and a value of more than MaxStateValue
// bytes are TooLarge; Limit says that the mesh has MaxStateKeys keys, or that
// they and their values have MaxStateBytes bytes.
type SetState struct {
	Key string `json:"key"`
	// Value is required; null is a value too.
	Value Value `json:"value,omitempty"`
	// IfUpdatedAt makes the request fail as Conflict unless the entry was last
	// set at this moment, as StateResult gave it; empty: unless it is not set.
	IfUpdatedAt *Stamp `json:"ifUpdatedAt,omitempty"`
}

// DeleteState removes one key of the shared state; NotFound says that it is
// not set.
type DeleteState struct {
	Key string `json:"key"`
	// IfUpdatedAt is as in SetState.
	IfUpdatedAt *Stamp `json:"ifUpdatedAt,omitempty"`
}

// StateChange tells every connection but the one that did it what was set,
// deleted, or shared as a context.
type StateChange struct {
	// Key is that of the entry, or _context: and the name of who shared
	// a context. Of such there is no entry.
	Key       string `json:"key"`
	Value     Value  `json:"value"` // null if it was deleted; of a context, its summary
	UpdatedBy string `json:"updatedBy"`
	UpdatedAt Stamp  `json:"updatedAt"`
	Deleted   bool   `json:"deleted,omitempty"`
}

// GetState asks for one key of the shared state.
type GetState struct {
	Key string `json:"key"`
}

// StateResult answers GetState. For a key that is not set the value is null
// and the other fields are empty.
type StateResult struct {
	Key       string `json:"key"`
	Value     Value  `json:"value"`
	UpdatedBy string `json:"updatedBy"`
	UpdatedAt Stamp  `json:"updatedAt"`
}

// ListState asks for the whole shared state.
type ListState struct{}

// StateList answers ListState, ascending by key.
type StateList struct {
	Entries []StateEntry `json:"entries"`
}

// StateEntry is one key of the shared state.
type StateEntry struct {
	Key       string `json:"key"`
	Value     Value  `json:"value"`
	UpdatedBy string `json:"updatedBy"`
	UpdatedAt Stamp  `json:"updatedAt"`
}

func (SetState) FrameType() Type    { return "set_state" }
func (DeleteState) FrameType() Type { return "delete_state" }
func (StateChange) FrameType() Type { return "state_change" }
func (GetState) FrameType() Type    { return "get_state" }
func (StateResult) FrameType() Type { return "state_result" }
func (ListState) FrameType() Type   { return "list_state" }
func (StateList) FrameType() Type   { return "state_list" }

func (SetState) answer() (r Ack)         { return }
func (DeleteState) answer() (r Ack)      { return }
func (GetState) answer() (r StateResult) { return }
func (ListState) answer() (r StateList)  { return }
