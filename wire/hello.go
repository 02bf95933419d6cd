package wire

// Proto is the revision of the protocol this package speaks. A peer that
// announces it proves its session key and acknowledges what it receives.
const Proto = 2

// Hello is the first frame of every connection.
type Hello struct {
	MeshID        string  `json:"meshId"`
	MemberID      string  `json:"memberId"`
	Pubkey        string  `json:"pubkey"`                  // member key
	SessionPubkey string  `json:"sessionPubkey,omitempty"` // becomes the address
	DisplayName   string  `json:"displayName,omitempty"`
	SessionID     string  `json:"sessionId,omitempty"` // of the host
	PID           int     `json:"pid,omitempty"`
	Cwd           string  `json:"cwd,omitempty"`
	Hostname      string  `json:"hostname,omitempty"`
	PeerType      string  `json:"peerType,omitempty"` // ai, human or connector
	Channel       string  `json:"channel,omitempty"`  // kind of client
	Model         string  `json:"model,omitempty"`
	Groups        []Group `json:"groups,omitempty"`
	Timestamp     Millis  `json:"timestamp"`
	// Signature is by the member key over meshId|memberId|pubkey|timestamp.
	Signature string `json:"signature"`

	// What follows are additions; a peer without them is served as before.

	// Proto 2 announces a peer that sends client_ack and SessionSignature.
	Proto int `json:"proto,omitempty"`
	// SessionSignature is by the session key over
	// meshId|memberId|pubkey|sessionPubkey|timestamp.
	SessionSignature string `json:"sessionSignature,omitempty"`
	// Transient marks a command: no presence, no events, no mail unless Drain.
	Transient bool `json:"transient,omitempty"`
	// Drain asks for the mail of a transient connection's address, and for Drained
	// when what waited has come. A session, which has its mail without, asks for
	// the latter alone.
	Drain bool `json:"drain,omitempty"`
	// Alone says, with Drain, that no other process holds the session: what was
	// delivered to one whose connection is gone, and not seen, comes again.
	Alone bool `json:"alone,omitempty"`
	// Instance names the process. A return with the same one still has the
	// messages it acknowledged, so they are not pushed again.
	Instance string `json:"instance,omitempty"`
	Role     string `json:"role,omitempty"`
}

// HelloAck answers a Hello; it is the first frame a peer receives.
type HelloAck struct {
	PresenceID        string        `json:"presenceId"`
	MemberDisplayName string        `json:"memberDisplayName"`
	MemberProfile     MemberProfile `json:"memberProfile"`
	MeshPolicy        *MeshPolicy   `json:"meshPolicy,omitempty"`
	// Restored is set where saved state was found; what follows it is that state.
	Restored       bool           `json:"restored,omitempty"`
	LastSummary    string         `json:"lastSummary,omitempty"`
	LastSeenAt     *Time          `json:"lastSeenAt,omitempty"`
	RestoredGroups []Group        `json:"restoredGroups,omitempty"`
	RestoredStats  *RestoredStats `json:"restoredStats,omitempty"`
	// Services are the deployed tool servers this session may use.
	Services []DeployedService `json:"services"`
	// Proto is the revision the broker speaks; 0 is an old broker.
	Proto int `json:"proto,omitempty"`
	// MeshSlug is the mesh's current slug.
	MeshSlug string `json:"meshSlug,omitempty"`
}

// MemberProfile is what the mesh has on record for a member.
type MemberProfile struct {
	RoleTag     *string `json:"roleTag"`
	Groups      []Group `json:"groups"`
	MessageMode string  `json:"messageMode"` // push, inbox or off
}

// MeshPolicy says what members may change of themselves.
type MeshPolicy struct {
	SelfEditable SelfEditable `json:"selfEditable"`
}

// SelfEditable flags the fields a member who is no admin may change of itself.
type SelfEditable struct {
	DisplayName bool `json:"displayName"`
	RoleTag     bool `json:"roleTag"`
	Groups      bool `json:"groups"`
	MessageMode bool `json:"messageMode"`
}

// RestoredStats are the counters a session had when its state was saved.
type RestoredStats struct {
	MessagesIn  int64 `json:"messagesIn"`
	MessagesOut int64 `json:"messagesOut"`
	ToolCalls   int64 `json:"toolCalls"`
	Errors      int64 `json:"errors"`
}

// LeaveMesh ends the sender's own membership. The broker answers, then closes
// every session of the member.
type LeaveMesh struct{}

// Drained tells a connection with Hello.Drain that the mail which waited
// for its address when it came has been pushed and acknowledged. It comes once.
type Drained struct {
	Pushed int `json:"pushed"` // how many messages that were
	// Remaining counts what is left out: held by priority, or more than fits.
	Remaining int `json:"remaining,omitempty"`
}

func (Hello) FrameType() Type     { return "hello" }
func (HelloAck) FrameType() Type  { return "hello_ack" }
func (LeaveMesh) FrameType() Type { return "leave_mesh" }
func (Drained) FrameType() Type   { return "drained" }

func (Hello) answer() (r HelloAck) { return }
func (LeaveMesh) answer() (r Ack)  { return }
