package wire

// ListPeers asks who is there.
type ListPeers struct {
	// Group narrows the list to a group and those below it.
	Group string `json:"group,omitempty"`
	// Members asks for the members too, online or not.
	Members bool `json:"members,omitempty"`
}

// PeersList answers ListPeers, oldest connection first, the caller included.
type PeersList struct {
	Peers   []Peer        `json:"peers"`
	Members []MemberBrief `json:"members,omitempty"`
}

// Peer is one session of a mesh.
type Peer struct {
	Pubkey      string   `json:"pubkey"` // address
	DisplayName string   `json:"displayName"`
	Status      Status   `json:"status"`
	Summary     *string  `json:"summary"`
	Groups      []Group  `json:"groups"`
	SessionID   string   `json:"sessionId"`
	ConnectedAt Time     `json:"connectedAt"`
	Cwd         string   `json:"cwd,omitempty"`
	Hostname    string   `json:"hostname,omitempty"`
	PeerType    string   `json:"peerType,omitempty"`
	Channel     string   `json:"channel,omitempty"`
	Model       string   `json:"model,omitempty"`
	Stats       *Stats   `json:"stats,omitempty"`
	Visible     *bool    `json:"visible,omitempty"`
	Profile     *Profile `json:"profile,omitempty"`

	MemberPubkey string `json:"memberPubkey,omitempty"`
	MemberID     string `json:"memberId,omitempty"`
	RoleTag      string `json:"roleTag,omitempty"`
	Role         string `json:"role,omitempty"`
	// Connection is "online", or "grace" while the session's socket is away.
	Connection string `json:"connection,omitempty"`
	// Proto is the revision the session announced; 0 is an older client, which
	// reads only plain multicasts.
	Proto int `json:"proto,omitempty"`
}

// Profile is what a session tells about itself.
type Profile struct {
	Avatar       string   `json:"avatar,omitempty"`
	Title        string   `json:"title,omitempty"`
	Bio          string   `json:"bio,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
}

// MemberBrief is a member as other members see it.
type MemberBrief struct {
	ID          string     `json:"id"`
	Pubkey      string     `json:"pubkey"`
	DisplayName string     `json:"displayName"`
	RoleTag     string     `json:"roleTag,omitempty"`
	Permission  Permission `json:"permission"`
	Online      bool       `json:"online"`
	LastSeenAt  *Time      `json:"lastSeenAt,omitempty"`
}

func (ListPeers) FrameType() Type { return "list_peers" }
func (PeersList) FrameType() Type { return "peers_list" }

func (ListPeers) answer() (r PeersList) { return }
