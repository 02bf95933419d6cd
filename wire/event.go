package wire

// The events of system pushes, each with the type of its eventData.
const (
	EventPeerJoined     = "peer_joined"     // PeerEvent
	EventPeerReturned   = "peer_returned"   // PeerEvent
	EventPeerLeft       = "peer_left"       // PeerEvent
	EventPeerVisible    = "peer_visible"    // PeerEvent
	EventPeerHidden     = "peer_hidden"     // PeerEvent
	EventProfileUpdated = "profile_updated" // ProfileUpdated
	EventMessageExpired = "message_expired" // MessageExpired
	EventSkillShared    = "skill_shared"    // SkillShared
	EventSkillRemoved   = "skill_removed"   // SkillRemoved
	EventTick           = "tick"            // Tick
	EventClockPaused    = "clock_paused"    // ClockPaused

	EventMCPRegistered   = "mcp_registered"    // MCPEvent
	EventMCPUnregistered = "mcp_unregistered"  // MCPEvent
	EventMCPOffline      = "mcp_offline"       // MCPEvent
	EventMCPRestored     = "mcp_restored"      // MCPEvent
	EventMCPDeployed     = "mcp_deployed"      // MCPDeployed
	EventMCPUndeployed   = "mcp_undeployed"    // MCPUndeployed
	EventMCPScopeChanged = "mcp_scope_changed" // MCPScopeChanged
	EventMCPCrashed      = "mcp_crashed"       // MCPCrashed
	EventMCPUpdated      = "mcp_updated"       // MCPUpdated
	EventWatchTriggered  = "watch_triggered"   // WatchTriggered
	EventEventsMissed    = "events_missed"     // EventsMissed
)

// PeerEvent tells of a session that came, went, showed or hid itself.
type PeerEvent struct {
	Name       string  `json:"name"`
	Pubkey     string  `json:"pubkey"`
	Groups     []Group `json:"groups,omitzero"` // of one that came; empty but there if it is in none
	LastSeenAt *Time   `json:"lastSeenAt,omitempty"`
	Summary    string  `json:"summary,omitempty"`
}

// ProfileUpdated tells the sessions of a member what was changed on record.
type ProfileUpdated struct {
	DisplayName *string  `json:"displayName,omitempty"`
	RoleTag     *string  `json:"roleTag,omitempty"`
	Groups      *[]Group `json:"groups,omitempty"`
	MessageMode *string  `json:"messageMode,omitempty"`
}

// MessageExpired tells a sender that a message was given up.
type MessageExpired struct {
	MessageID  string             `json:"messageId"`
	ID         string             `json:"id,omitempty"` // Send.ID
	TargetSpec string             `json:"targetSpec"`
	SentAt     Time               `json:"sentAt"`
	Recipients []ExpiredRecipient `json:"recipients"`
}

// ExpiredRecipient is a recipient that a message did not reach in time.
type ExpiredRecipient struct {
	Pubkey    string `json:"pubkey"`
	Name      string `json:"name,omitempty"`
	Delivered bool   `json:"delivered"` // its process had the message but never showed it
}
