package store

import (
	"fmt"
	"time"
)

const (
	memberColumns    = `id, pubkey, display_name, permission, role_tag, groups, message_mode, joined, last_seen, revoked`
	insertMember     = `INSERT INTO member (` + memberColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectMember     = `SELECT ` + memberColumns + ` FROM member WHERE id = ?`
	selectMemberKey  = `SELECT ` + memberColumns + ` FROM member WHERE pubkey = ? AND revoked IS NULL`
	selectMembers    = `SELECT ` + memberColumns + ` FROM member WHERE revoked IS NULL ORDER BY joined, id`
	updateMember     = `UPDATE member SET display_name = ?, permission = ?, role_tag = ?, groups = ?, message_mode = ? WHERE id = ? AND revoked IS NULL`
	updateMemberSeen = `UPDATE member SET last_seen = max(?1, coalesce(last_seen, 0)) WHERE id = ?2`
	updateRevoked    = `UPDATE member SET revoked = ? WHERE id = ? AND revoked IS NULL`
)

// Permissions of a member, and the roles an invite gives.
const (
	PermissionAdmin  = "admin"
	PermissionMember = "member"
)

// Message modes of a member: interrupt it, let it look, or neither.
const (
	ModePush  = "push"
	ModeInbox = "inbox"
	ModeOff   = "off"
)

// A Group is a membership in a group, whose name has no "@".
type Group struct {
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

// Member is a long-lived identity inside the mesh.
type Member struct {
	ID          string // NewID
	PubKey      string // hex64, lower case
	DisplayName string
	Permission  string
	RoleTag     string  // "" for none
	Groups      []Group // default groups of its sessions
	MessageMode string
	Joined      time.Time
	LastSeen    time.Time // zero if it never connected
	Revoked     time.Time // zero while it is a member
}

// AddMember enrolls m: ErrConflict if its key is already that of a member who
// is not revoked.
func (tx *Tx) AddMember(m *Member) error {
	groups, err := groupsText(m.Groups)
	if err != nil {
		return err
	}
	_, err = tx.exec(insertMember, m.ID, m.PubKey, m.DisplayName, m.Permission, null(m.RoleTag), groups, m.MessageMode, m.Joined, m.LastSeen, m.Revoked)
	return err
}

// Member returns the member with that id, revoked or not: ErrNotFound if
// there is none.
func (rx *Rx) Member(id string) (*Member, error) { return rx.member(selectMember, id) }

// MemberByKey returns the member who is not revoked and has that public key:
// ErrNotFound if there is none.
func (rx *Rx) MemberByKey(pubkey string) (*Member, error) {
	return rx.member(selectMemberKey, pubkey)
}

func (rx *Rx) member(query, arg string) (*Member, error) {
	var m Member
	if err := rx.one(query, []any{arg}, m.columns()...); err != nil {
		return nil, fmt.Errorf("store: member %.8s: %w", arg, err)
	}
	return &m, nil
}

// Members lists the members who are not revoked, the oldest first.
func (rx *Rx) Members() ([]*Member, error) {
	var all []*Member
	err := rx.each(selectMembers, nil, func(r row) error {
		var m Member
		all = append(all, &m)
		return r.scan(m.columns()...)
	})
	return all, err
}

func (m *Member) columns() []any {
	return []any{&m.ID, &m.PubKey, &m.DisplayName, &m.Permission, &m.RoleTag, fromJSON{&m.Groups}, &m.MessageMode, &m.Joined, &m.LastSeen, &m.Revoked}
}

// UpdateMember writes the display name, permission, role tag, groups and
// message mode of m: ErrNotFound if there is no such member or it is revoked.
func (tx *Tx) UpdateMember(m *Member) error {
	groups, err := groupsText(m.Groups)
	if err != nil {
		return err
	}
	return tx.change("member "+m.ID, updateMember, m.DisplayName, m.Permission, null(m.RoleTag), groups, m.MessageMode, m.ID)
}

// RevokeMember ends a membership at that time: ErrNotFound if there is none
// to end. The row stays for the record, and the key may be enrolled again.
func (tx *Tx) RevokeMember(id string, at time.Time) error {
	return tx.change("member "+id, updateRevoked, at, id)
}

// SeenMember notes that the member was connected at that time.
func (tx *Tx) SeenMember(id string, at time.Time) error {
	return tx.change("member "+id, updateMemberSeen, at, id)
}

func groupsText(groups []Group) (string, error) {
	if groups == nil {
		groups = []Group{}
	}
	return toJSON(groups)
}
