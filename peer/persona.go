package peer

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"

	"claudemesh/wire"
)

// PersonaName is the file in the directory of a launched session that has its
// Persona.
const PersonaName = "persona.json"

const maxPersonaBytes = 64 << 10

// A Persona is what others see of a session. It is remembered for when the
// session is resumed.
type Persona struct {
	MeshID string       `json:"meshId,omitempty"` // of the joined mesh that it was launched in
	Name   string       `json:"name,omitempty"`
	Role   string       `json:"role,omitempty"`
	Groups []wire.Group `json:"groups,omitempty"`
	Mode   string       `json:"messageMode,omitempty"` // push, inbox or off; empty leaves it to the mesh
}

// Or fills in what p leaves open.
func (p Persona) Or(old Persona) Persona {
	p.MeshID, p.Name, p.Role, p.Mode = cmp.Or(p.MeshID, old.MeshID), cmp.Or(p.Name, old.Name), cmp.Or(p.Role, old.Role), cmp.Or(p.Mode, old.Mode)
	if p.Groups == nil {
		p.Groups = old.Groups
	}
	return p
}

// LaunchedDir returns the directory that is kept for a launched session below
// the user's configuration directory. The id must be valid: see
// ValidHostSession.
func LaunchedDir(configDir, sessionID string) string {
	return filepath.Join(configDir, "launched", sessionID)
}

// Remembered returns the persona that a session was launched with, zero if it
// was not. configDir is the user's configuration directory.
func Remembered(configDir, sessionID string) (p Persona) {
	if !ValidHostSession(sessionID) {
		return p
	}
	f, err := os.Open(filepath.Join(LaunchedDir(configDir, sessionID), PersonaName))
	if err != nil {
		return p
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPersonaBytes))
	if err != nil || json.Unmarshal(data, &p) != nil {
		return Persona{}
	}
	return p
}

// Remembered is the function of that name for the user whose configuration, or
// that of a session of whom, c is.
func (c *Config) Remembered(sessionID string) Persona {
	dir := filepath.Dir(c.SessionKeys().Dir())
	if !filepath.IsAbs(dir) { // c was read from nowhere
		return Persona{}
	}
	return Remembered(dir, sessionID)
}

// ValidHostSession reports whether id has the form that the host gives its
// sessions: 36 hex digits and hyphens. It then names a file, too.
func ValidHostSession(id string) bool {
	return len(id) == 36 && strings.Trim(strings.ToLower(id), "0123456789abcdef-") == ""
}
