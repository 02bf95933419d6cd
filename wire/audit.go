package wire

// AuditQuery asks for entries of the audit log, the newest first.
type AuditQuery struct {
	// Limit is how many entries are wanted: 1 to MaxAuditPage, 50 if left out.
	// What is beyond is brought to the nearest.
	Limit *int `json:"limit,omitempty"`
	// Offset leaves out so many of the newest.
	Offset int `json:"offset,omitempty"`
	// EventType restricts the answer to one event.
	EventType string `json:"eventType,omitempty"`
	// After asks for the entries that follow the one with this id, the oldest
	// first; 0 begins with the first that is kept. Offset and eventType are
	// ignored then.
	After *int64 `json:"after,omitempty"`
}

// AuditResult answers AuditQuery.
type AuditResult struct {
	Entries []AuditEntry `json:"entries"`
	// Total counts all entries that are kept, or those of the event asked for.
	Total int `json:"total"`
	// Head is the hash of the newest entry, "genesis" if there never was one.
	Head   string `json:"head,omitempty"`
	HeadID int64  `json:"headId,omitempty"` // its id
	// Base vouches for the entries that were pruned, if any were: it is the
	// last of them.
	Base *AuditCheckpoint `json:"base,omitempty"`
}

// AuditEntry is an entry of the audit log. Its hash is the SHA-256 in hex of
//
//	prevHash|meshId|eventType|actorMemberId|payload|createdAt
//
// with null for no member, and payload as canonical JSON (RFC 8785). Nothing in
// an entry is contents: it names things and has their hashes.
type AuditEntry struct {
	ID        int64  `json:"id"`        // 1 for the first, and one more for each
	EventType string `json:"eventType"` // what happened
	// Actor is the name of who did it, else its member id, else system.
	Actor     string `json:"actor"`
	Payload   Value  `json:"payload"` // an object
	Hash      string `json:"hash"`    // 64 hex digits
	CreatedAt Time   `json:"createdAt"`
	// PrevHash is the hash of the entry before, "genesis" in the first.
	PrevHash      string  `json:"prevHash,omitempty"`
	ActorMemberID *string `json:"actorMemberId,omitempty"` // of the member who did it
	// ActorDisplayName is actorDisplayName of the payload, so that the hash covers it.
	ActorDisplayName *string `json:"actorDisplayName,omitempty"`
}

// AuditVerify has the broker recompute the audit chain from its first entry. One
// request is served at a time in a mesh; others are RateLimited.
type AuditVerify struct{}

// AuditVerifyResult answers AuditVerify.
type AuditVerifyResult struct {
	Valid   bool `json:"valid"` // of an empty log too
	Entries int  `json:"entries"`
	// BrokenAt is the id of the first entry that is wrong.
	BrokenAt *int64 `json:"brokenAt,omitempty"`
	// Reason says what is wrong with it.
	Reason string `json:"reason,omitempty"`
	// Head and HeadID are as in AuditResult, of the entry up to which was verified.
	Head   string `json:"head,omitempty"`
	HeadID int64  `json:"headId,omitempty"`
	// Base is as in AuditResult.
	Base *AuditCheckpoint `json:"base,omitempty"`
	// Checkpoint vouches for what was verified; absent where that is not valid or
	// empty.
	Checkpoint *AuditCheckpoint `json:"checkpoint,omitempty"`
}

// AuditCheckpoint is a broker's word that the audit chain of a mesh has that hash
// at that entry: kept elsewhere, it shows later whether the log was rewritten or
// cut off. The signature is of
//
//	audit|meshId|id|hash|createdAt
//
// with the time in milliseconds.
type AuditCheckpoint struct {
	MeshID    string `json:"meshId"`
	ID        int64  `json:"id"`
	Hash      string `json:"hash"` // hex
	CreatedAt Time   `json:"createdAt"`
	Signer    string `json:"signer"`    // public key of the broker
	Signature string `json:"signature"` // Ed25519, 128 hex digits
}

// The events of the audit log. Payloads have actorDisplayName where somebody did
// it, and the fields said here.
const (
	AuditMeshCreated       = "mesh_created"       // slug, ownerPubkey, createdAt
	AuditSettingsChanged   = "settings_changed"   // selfEditable, messageTtl: those that changed
	AuditMemberJoined      = "member_joined"      // memberId, pubkey, permission, inviteId
	AuditMemberUpdated     = "member_updated"     // memberId, fields; permission if that changed
	AuditMemberRevoked     = "member_revoked"     // memberId, pubkey
	AuditInviteCreated     = "invite_created"     // inviteId, role, maxUses, expiresAt
	AuditInviteRevoked     = "invite_revoked"     // inviteId
	AuditPeerJoined        = "peer_joined"        // pubkey of the member, groups, restored; of sessions that are not hidden
	AuditPeerLeft          = "peer_left"          // nothing
	AuditMessageSent       = "message_sent"       // targetSpec, priority, messageId; scheduledId if a schedule sent it
	AuditStateSet          = "state_set"          // key, valueSha256: of the value as the broker has it
	AuditStateDeleted      = "state_deleted"      // key
	AuditMemoryStored      = "memory_stored"      // memoryId
	AuditMemoryForgotten   = "memory_forgotten"   // memoryId
	AuditContextShared     = "context_shared"     // nothing
	AuditStreamCreated     = "stream_created"     // stream
	AuditStreamDeleted     = "stream_deleted"     // stream
	AuditSkillShared       = "skill_shared"       // skill, instructionsSha256; of a bundle also sourceType, files: their number, and commit
	AuditSkillRemoved      = "skill_removed"      // skill
	AuditServerRegistered  = "server_registered"  // server, tools: their number, persistent
	AuditServerRemoved     = "server_removed"     // server
	AuditVaultChanged      = "vault_changed"      // key, action: stored or deleted
	AuditVaultRotated      = "vault_rotated"      // keyId, values: how many of this mesh
	AuditServiceDeployed   = "service_deployed"   // service, sourceType, scope: its kind
	AuditServiceUpdated    = "service_updated"    // service
	AuditServiceScoped     = "service_scoped"     // service, scope: its kind
	AuditServiceUndeployed = "service_undeployed" // service
	AuditFileShared        = "file_shared"        // fileId, name, size, sha256, targetSpec, encrypted
	AuditFileDeleted       = "file_deleted"       // fileId, name
	AuditFileGranted       = "file_granted"       // fileId, pubkey
	AuditTaskCreated       = "task_created"       // taskId
	AuditTaskClaimed       = "task_claimed"       // taskId
	AuditTaskCompleted     = "task_completed"     // taskId
	AuditTaskReleased      = "task_released"      // taskId
	AuditPathsReserved     = "paths_reserved"     // repo, patterns, shared
	AuditPathsReleased     = "paths_released"     // patterns
	AuditScheduleCreated   = "schedule_created"   // scheduledId, targetSpec; cron if it recurs
	AuditScheduleCancelled = "schedule_cancelled" // scheduledId
	AuditClockSet          = "clock_set"          // speed, paused
	AuditWebhookCreated    = "webhook_created"    // webhook, targetSpec, signature if it asks for one
	AuditWebhookRotated    = "webhook_rotated"    // webhook
	AuditWebhookDeleted    = "webhook_deleted"    // webhook
	AuditWatchCreated      = "watch_created"      // watchId
	AuditWatchDeleted      = "watch_deleted"      // watchId
	AuditPruned            = "audit_pruned"       // id, hash: of the last entry that was
)

func (AuditQuery) FrameType() Type        { return "audit_query" }
func (AuditResult) FrameType() Type       { return "audit_result" }
func (AuditVerify) FrameType() Type       { return "audit_verify" }
func (AuditVerifyResult) FrameType() Type { return "audit_verify_result" }

func (AuditQuery) answer() (r AuditResult)        { return }
func (AuditVerify) answer() (r AuditVerifyResult) { return }
