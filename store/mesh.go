package store

import (
	"fmt"
	"time"
)

const (
	insertMesh         = `INSERT INTO mesh (one, id, slug, name, owner, self_editable, message_ttl, created) VALUES (1, ?, ?, ?, ?, ?, ?, ?)`
	selectMesh         = `SELECT id, slug, name, owner, self_editable, message_ttl, created, archived FROM mesh`
	updateSelfEditable = `UPDATE mesh SET self_editable = ?`
	updateMessageTTL   = `UPDATE mesh SET message_ttl = ?`
	updateArchived     = `UPDATE mesh SET archived = coalesce(archived, ?)`
)

// DefaultMessageTTL is how long a message waits for its recipient in a mesh
// that says nothing else.
const DefaultMessageTTL = 7 * 24 * time.Hour

// Mesh is what a mesh knows about itself.
type Mesh struct {
	ID           string
	Slug         string // short name for people
	Name         string
	Owner        string // public key that signs invites, hex64
	SelfEditable SelfEditable
	MessageTTL   time.Duration // whole milliseconds; 0 in CreateMesh means DefaultMessageTTL
	Created      time.Time
	Archived     time.Time // zero while the mesh is in use
}

// SelfEditable says which fields of a member its owner may change without
// being an admin.
type SelfEditable struct {
	DisplayName bool `json:"displayName"`
	RoleTag     bool `json:"roleTag"`
	Groups      bool `json:"groups"`
	MessageMode bool `json:"messageMode"`
}

// CreateMesh writes the one row that makes the file a mesh: ErrConflict if it
// has one.
func (tx *Tx) CreateMesh(m Mesh) error {
	editable, err := toJSON(m.SelfEditable)
	if err != nil {
		return err
	}
	if m.MessageTTL == 0 {
		m.MessageTTL = DefaultMessageTTL
	}
	_, err = tx.exec(insertMesh, m.ID, m.Slug, m.Name, m.Owner, editable, m.MessageTTL.Milliseconds(), m.Created)
	return err
}

// Mesh returns what the mesh knows about itself: ErrNotFound in a file that
// CreateMesh has not been called on.
func (rx *Rx) Mesh() (Mesh, error) {
	var m Mesh
	var ttl int64
	err := rx.one(selectMesh, nil, &m.ID, &m.Slug, &m.Name, &m.Owner, fromJSON{&m.SelfEditable}, &ttl, &m.Created, &m.Archived)
	if err != nil {
		return Mesh{}, fmt.Errorf("store: mesh: %w", err)
	}
	m.MessageTTL = time.Duration(ttl) * time.Millisecond
	return m, nil
}

// SetSelfEditable replaces the flags of the mesh.
func (tx *Tx) SetSelfEditable(s SelfEditable) error {
	text, err := toJSON(s)
	if err != nil {
		return err
	}
	return tx.change("mesh", updateSelfEditable, text)
}

// SetMessageTTL says how long messages accepted from now on wait for their
// recipients, in whole milliseconds.
func (tx *Tx) SetMessageTTL(ttl time.Duration) error {
	return tx.change("mesh", updateMessageTTL, ttl.Milliseconds())
}

// Archive closes the mesh to everybody from at on; an earlier time stays.
func (tx *Tx) Archive(at time.Time) error { return tx.change("mesh", updateArchived, at) }
