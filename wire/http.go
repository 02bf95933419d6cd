package wire

// Permission is what a member may do to the mesh itself.
type Permission string

// The permissions.
const (
	Admin    Permission = "admin"
	Ordinary Permission = "member"
)

// The headers of a signed HTTP request. The signature is by a member or owner key over
// http|<METHOD>|<path>|<pubkey>|<timestamp>|<hex SHA-256 of the body>.
const (
	HeaderPubkey    = "X-Mesh-Pubkey"
	HeaderTimestamp = "X-Mesh-Timestamp"
	HeaderSignature = "X-Mesh-Signature"
)

// HTTPResult is the part that every HTTP answer has.
type HTTPResult struct {
	OK    bool   `json:"ok"`
	Error Code   `json:"error,omitempty"`
	Hint  string `json:"message,omitempty"` // for people, beside the code
}

// Health answers GET /health.
type Health struct {
	Status  string `json:"status"` // ok or degraded
	DB      string `json:"db"`     // up or down
	Version string `json:"version"`
	GitSHA  string `json:"gitSha"` // unknown when not known
	Uptime  int64  `json:"uptime"` // whole seconds
}

// JoinRequest is the body of POST /join.
type JoinRequest struct {
	InviteToken   string `json:"invite_token"`
	InvitePayload any    `json:"invite_payload"`
	PeerPubkey    string `json:"peer_pubkey"`
	DisplayName   string `json:"display_name"`
	// Signature is by the new key over join|<mesh_id>|<peer_pubkey>|<invite_token>.
	Signature string `json:"signature,omitempty"`
}

// JoinResult answers POST /join.
type JoinResult struct {
	HTTPResult
	MemberID      string `json:"memberId,omitempty"`
	AlreadyMember bool   `json:"alreadyMember,omitempty"`
	DisplayName   string `json:"displayName,omitempty"` // as recorded
}

// CreateMesh is the body of POST /mesh. The request carries the broker's admin
// token as a bearer and is signed by the owner key.
type CreateMesh struct {
	MeshID      string `json:"meshId"` // made by the owner: [0-9A-Za-z]{32}
	Slug        string `json:"slug"`
	Name        string `json:"name,omitempty"`
	OwnerPubkey string `json:"ownerPubkey"`
}

// CreateMeshResult answers POST /mesh.
type CreateMeshResult struct {
	HTTPResult
	MeshID  string `json:"meshId,omitempty"`
	Existed bool   `json:"existed,omitempty"` // the same mesh was there already
}

// Member is a member as GET /mesh/{meshId}/members lists it.
type Member struct {
	ID           string     `json:"id"`
	Pubkey       string     `json:"pubkey,omitempty"`
	DisplayName  string     `json:"displayName"`
	RoleTag      *string    `json:"roleTag"`
	Groups       []Group    `json:"groups"` // default groups
	MessageMode  string     `json:"messageMode"`
	Permission   Permission `json:"permission"`
	JoinedAt     Time       `json:"joinedAt"`
	LastSeenAt   *Time      `json:"lastSeenAt"`
	Online       *bool      `json:"online,omitempty"`
	SessionCount *int       `json:"sessionCount,omitempty"`
}

// MemberList answers GET /mesh/{meshId}/members.
type MemberList struct {
	HTTPResult
	Members []Member `json:"members"`
}

// MemberPatch is the body of PATCH /mesh/{meshId}/member/{memberId}: the
// fields to change.
type MemberPatch struct {
	DisplayName *string     `json:"displayName,omitempty"`
	RoleTag     *string     `json:"roleTag,omitempty"`
	Groups      *[]Group    `json:"groups,omitempty"`
	MessageMode *string     `json:"messageMode,omitempty"`
	Permission  *Permission `json:"permission,omitempty"`
}

// MemberPatched answers a MemberPatch.
type MemberPatched struct {
	HTTPResult
	Member  *Member         `json:"member,omitempty"`
	Changes *ProfileUpdated `json:"changes,omitempty"`
}

// MeshSettings is the body of PATCH /mesh/{meshId}/settings.
type MeshSettings struct {
	SelfEditable *SelfEditable `json:"selfEditable,omitempty"`
	// MessageTTL is how long undelivered messages are kept, in seconds.
	MessageTTL *int64 `json:"messageTtl,omitempty"`
}

// Preset is applied to the members that an invite makes.
type Preset struct {
	DisplayName string  `json:"displayName,omitempty"`
	RoleTag     string  `json:"roleTag,omitempty"`
	Groups      []Group `json:"groups,omitempty"`
	MessageMode string  `json:"messageMode,omitempty"`
}

// AddInvite is the body of POST /mesh/{meshId}/invites: it registers a token
// that the owner has signed. The broker keeps a digest of it only.
type AddInvite struct {
	Token   string  `json:"token"`
	MaxUses int     `json:"maxUses"` // 1 if absent
	Preset  *Preset `json:"preset,omitempty"`
}

// Invite is an invite as the broker lists it; the link itself is not kept.
type Invite struct {
	ID        string     `json:"id"`
	Role      Permission `json:"role"`
	MaxUses   int        `json:"maxUses"`
	Uses      int        `json:"uses"`
	CreatedAt Time       `json:"createdAt"`
	ExpiresAt Time       `json:"expiresAt"`
	RevokedAt *Time      `json:"revokedAt,omitempty"`
	Preset    *Preset    `json:"preset,omitempty"`
	Creator   string     `json:"creator"` // member or owner key
}

// InviteResult answers POST and DELETE of an invite.
type InviteResult struct {
	HTTPResult
	Invite *Invite `json:"invite,omitempty"`
}

// InviteList answers GET /mesh/{meshId}/invites.
type InviteList struct {
	HTTPResult
	Invites []Invite `json:"invites"`
}

// HookStatus is the body of POST /hook/set-status.
type HookStatus struct {
	Cwd       string `json:"cwd"`
	Status    Status `json:"status"`
	PID       int    `json:"pid,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	MeshID    string `json:"mesh_id,omitempty"`
	Pubkey    string `json:"pubkey,omitempty"`
	Timestamp Millis `json:"timestamp,omitempty"`
	// Signature is by the member key over
	// hook|<mesh_id>|<pubkey>|<status>|<session_id>|<cwd>|<timestamp>.
	Signature string `json:"signature,omitempty"`
}

// HookResult answers POST /hook/set-status.
type HookResult struct {
	HTTPResult
	PresenceID string `json:"presence_id,omitempty"`
	Pending    bool   `json:"pending,omitempty"`
	Updated    int    `json:"updated,omitempty"` // sessions that changed
}

// UploadResult answers POST /upload.
type UploadResult struct {
	HTTPResult
	FileID string `json:"fileId,omitempty"`
	// What the broker has on disk, for the client to compare with what it sent. Both are additions.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hex
}
