package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"claudemesh/wire"
)

// Config is what a user's machine knows of its meshes: the content of
// config.json. Keys this version does not know are kept in Extra, at every
// level, and written back. It holds secrets: printing or logging a Config, or
// an entry of it, shows none of them.
type Config struct {
	Version     int          `json:"version"`
	Meshes      []Mesh       `json:"meshes"`
	DisplayName string       `json:"displayName,omitempty"` // of a session, written by launch
	Role        string       `json:"role,omitempty"`
	Groups      []wire.Group `json:"groups,omitempty"`      // joined in each mesh after connecting
	MessageMode string       `json:"messageMode,omitempty"` // push, inbox or off; empty is push
	SharedDirs  []string     `json:"sharedDirs,omitempty"`  // readable by peers of every mesh
	// FileDirs are directories, absolute, whose files the tools of a session may
	// share, and to which they may fetch, beside the session's own directory.
	FileDirs []string `json:"fileDirs,omitempty"`
	// ToolServers are the MCP servers that the user lends to every mesh, by name.
	ToolServers map[string]ToolServer `json:"toolServers,omitempty"`
	// SessionsDir is where session keys are kept if not below the directory of
	// this file: launch gives each session a configuration of its own that
	// does not outlive it, while the keys must.
	SessionsDir string   `json:"sessionsDir,omitempty"`
	Owned       []Owned  `json:"owned,omitempty"`
	Brokers     []Broker `json:"brokers,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`

	dir    string
	mode   fs.FileMode // of the file that was read; 0 without one
	broken string      // what an update would destroy; empty if nothing
}

// Mesh is one joined mesh with the key this member has in it.
type Mesh struct {
	MeshID     string    `json:"meshId"`
	MemberID   string    `json:"memberId"`
	Slug       string    `json:"slug"` // local: unique in this file
	Name       string    `json:"name"`
	Pubkey     string    `json:"pubkey"`    // 64 hex digits
	SecretKey  string    `json:"secretKey"` // 128 hex digits
	BrokerURL  string    `json:"brokerUrl"` // ws or wss
	JoinedAt   wire.Time `json:"joinedAt,omitzero"`
	RootKey    string    `json:"rootKey,omitempty"` // base64url
	SharedDirs []string  `json:"sharedDirs,omitempty"`
	Template   string    `json:"template,omitempty"` // by which it was set up
	// ToolServers are the MCP servers that the user lends to this mesh, by name.
	ToolServers map[string]ToolServer `json:"toolServers,omitempty"`

	Extra map[string]json.RawMessage `json:"-"`
}

// Owned is a mesh this user created. The owner's secret key exists nowhere
// but here: whoever has it can invite and revoke.
type Owned struct {
	MeshID         string    `json:"meshId"`
	Slug           string    `json:"slug"`
	Name           string    `json:"name"`
	OwnerPubkey    string    `json:"ownerPubkey"`
	OwnerSecretKey string    `json:"ownerSecretKey"`
	RootKey        string    `json:"rootKey,omitempty"`
	BrokerURL      string    `json:"brokerUrl"`
	CreatedAt      wire.Time `json:"createdAt,omitzero"`

	Extra map[string]json.RawMessage `json:"-"`
}

// Broker is a broker this user administers.
type Broker struct {
	URL        string `json:"url"`
	AdminToken string `json:"adminToken"`

	Extra map[string]json.RawMessage `json:"-"`
}

var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// ValidSlug reports whether s may name a mesh on this machine: 1 to 64 lower
// case letters, digits and hyphens, the first no hyphen.
func ValidSlug(s string) bool { return slugPattern.MatchString(s) }

// Path returns the path of the file this configuration is read from and
// written to, whether or not it exists.
func (c *Config) Path() string { return configPath(c.dir) }

// Dir returns the configuration directory.
func (c *Config) Dir() string { return c.dir }

// Mode returns the permissions the file had when it was read, 0 if there was
// no file.
func (c *Config) Mode() fs.FileMode { return c.mode }

// Exposed reports whether other users of this machine could read the file.
func (c *Config) Exposed() bool { return exposed(c.mode) }

// Fault returns what keeps the file from being used as it is, nil as a rule:
// it was read as far as it could be, and nothing will be written to it.
func (c *Config) Fault() error {
	if c.broken == "" {
		return nil
	}
	return fmt.Errorf("configuration %s is left as it is: %s; correct it, or move it away to start afresh", c.Path(), c.broken)
}

// Errors of Config.Mesh. Their texts say what to do.
var (
	ErrNoMesh        = errors.New("no mesh joined: run `claudemesh join <link>`")
	ErrUnknownMesh   = errors.New("unknown mesh")
	ErrAmbiguousMesh = errors.New("several meshes joined")
)

// Mesh returns the joined mesh with that slug or, if there is none, that mesh
// id; the empty text stands for the only one. The result points into c. The
// error is ErrNoMesh, ErrUnknownMesh or ErrAmbiguousMesh and names the joined
// slugs, or it is that of Fault.
func (c *Config) Mesh(nameOrID string) (*Mesh, error) {
	if err := c.Fault(); err != nil {
		return nil, err
	}
	joined := strings.Join(c.Slugs(), ", ")
	switch {
	case len(c.Meshes) == 0:
		return nil, ErrNoMesh
	case nameOrID == "" && len(c.Meshes) == 1:
		return &c.Meshes[0], nil
	case nameOrID == "":
		return nil, fmt.Errorf("%w: choose one with --mesh: %s", ErrAmbiguousMesh, joined)
	}
	for _, key := range []func(*Mesh) string{
		func(m *Mesh) string { return m.Slug },
		func(m *Mesh) string { return m.MeshID },
	} {
		for i := range c.Meshes {
			if key(&c.Meshes[i]) == nameOrID {
				return &c.Meshes[i], nil
			}
		}
	}
	return nil, fmt.Errorf("%w %q: joined are %s; join another with `claudemesh join <link>`", ErrUnknownMesh, nameOrID, joined)
}

// Slugs returns the local slugs of the joined meshes in their order.
func (c *Config) Slugs() []string {
	slugs := make([]string, len(c.Meshes))
	for i := range c.Meshes {
		slugs[i] = c.Meshes[i].Slug
	}
	return slugs
}

// AddMesh adds a joined mesh and returns the entry that now stands for it; it
// points into c. If the mesh was joined before, kept is true and the existing
// entry stays with its member and key; only a missing root key is filled in.
// A slug that is taken by another mesh, or that may not be used locally, is
// replaced by one that may, home-2 for home; the caller tells the user if the
// entry's slug is not the one given.
func (c *Config) AddMesh(m Mesh) (entry *Mesh, kept bool) {
	for i := range c.Meshes {
		if old := &c.Meshes[i]; old.MeshID == m.MeshID {
			if old.RootKey == "" {
				old.RootKey = m.RootKey
			}
			return old, true
		}
	}
	m.Slug = c.freeSlug(m.Slug)
	c.Meshes = append(c.Meshes, m)
	return &c.Meshes[len(c.Meshes)-1], false
}

// RemoveMesh removes the mesh with that slug or id and reports whether there
// was one.
func (c *Config) RemoveMesh(nameOrID string) bool {
	if nameOrID == "" {
		return false
	}
	m, err := c.Mesh(nameOrID)
	if err != nil {
		return false
	}
	id := m.MeshID
	c.Meshes = slices.DeleteFunc(c.Meshes, func(m Mesh) bool { return m.MeshID == id })
	return true
}

// freeSlug returns slug, or the nearest name that is valid and means no other
// mesh, be it as slug or as id.
func (c *Config) freeSlug(slug string) string {
	base := localSlug(slug)
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			suffix := "-" + strconv.Itoa(n)
			name = base[:min(len(base), 64-len(suffix))] + suffix
		}
		taken := slices.ContainsFunc(c.Meshes, func(m Mesh) bool { return m.Slug == name || m.MeshID == name })
		if !taken {
			return name
		}
	}
}

func localSlug(slug string) string {
	if ValidSlug(slug) {
		return slug
	}
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(slug))
	s = strings.TrimLeft(s, "-")
	s = strings.TrimRight(s[:min(len(s), 64)], "-")
	if s == "" {
		return "mesh"
	}
	return s
}

// decode reads the file's content. A meshes value that is no array counts as
// empty but is remembered, for an update would destroy it.
func (c *Config) decode(data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	type known Config
	var k known
	var loose struct {
		Meshes json.RawMessage `json:"meshes"`
	}
	if err := json.Unmarshal(data, &loose); err != nil {
		return err
	}
	if m := bytes.TrimSpace(loose.Meshes); len(m) > 0 && m[0] != '[' && !bytes.Equal(m, []byte("null")) {
		c.broken = `"meshes" is not an array`
		return nil
	}
	extra, err := decodeKeeping(data, &k)
	if err != nil {
		return err
	}
	k.dir, k.Extra = c.dir, extra
	*c = Config(k)
	return nil
}

// MarshalJSON implements json.Marshaler: known keys first, then Extra.
func (c Config) MarshalJSON() ([]byte, error) {
	type known Config
	if c.Meshes == nil {
		c.Meshes = []Mesh{}
	}
	c.Version = max(c.Version, 1)
	return encodeKeeping(known(c), c.Extra)
}

// MarshalJSON implements json.Marshaler: known keys first, then Extra.
func (m Mesh) MarshalJSON() ([]byte, error) {
	type known Mesh
	return encodeKeeping(known(m), m.Extra)
}

// UnmarshalJSON implements json.Unmarshaler; unknown keys go to Extra.
func (m *Mesh) UnmarshalJSON(p []byte) (err error) {
	type known Mesh
	m.Extra, err = decodeKeeping(p, (*known)(m))
	return err
}

// MarshalJSON implements json.Marshaler: known keys first, then Extra.
func (o Owned) MarshalJSON() ([]byte, error) {
	type known Owned
	return encodeKeeping(known(o), o.Extra)
}

// UnmarshalJSON implements json.Unmarshaler; unknown keys go to Extra.
func (o *Owned) UnmarshalJSON(p []byte) (err error) {
	type known Owned
	o.Extra, err = decodeKeeping(p, (*known)(o))
	return err
}

// MarshalJSON implements json.Marshaler: known keys first, then Extra.
func (b Broker) MarshalJSON() ([]byte, error) {
	type known Broker
	return encodeKeeping(known(b), b.Extra)
}

// UnmarshalJSON implements json.Unmarshaler; unknown keys go to Extra.
func (b *Broker) UnmarshalJSON(p []byte) (err error) {
	type known Broker
	b.Extra, err = decodeKeeping(p, (*known)(b))
	return err
}

func (c Config) String() string {
	return fmt.Sprintf("configuration %s with meshes [%s]", c.Path(), strings.Join(c.Slugs(), " "))
}

func (m Mesh) String() string {
	return fmt.Sprintf("mesh %s (%s) at %s as %s", m.Slug, m.MeshID, m.BrokerURL, m.Pubkey)
}

func (o Owned) String() string {
	return fmt.Sprintf("owned mesh %s (%s) at %s of %s", o.Slug, o.MeshID, o.BrokerURL, o.OwnerPubkey)
}

func (b Broker) String() string { return "broker " + b.URL }

// Format implements fmt.Formatter, so that no verb prints a secret.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// Format implements fmt.Formatter, so that no verb prints a secret.
func (m Mesh) Format(f fmt.State, _ rune) { fmt.Fprint(f, m.String()) }

// Format implements fmt.Formatter, so that no verb prints a secret.
func (o Owned) Format(f fmt.State, _ rune) { fmt.Fprint(f, o.String()) }

// Format implements fmt.Formatter, so that no verb prints a secret.
func (b Broker) Format(f fmt.State, _ rune) { fmt.Fprint(f, b.String()) }

// LogValue implements slog.LogValuer without secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// LogValue implements slog.LogValuer without secrets.
func (m Mesh) LogValue() slog.Value { return slog.StringValue(m.String()) }

// LogValue implements slog.LogValuer without secrets.
func (o Owned) LogValue() slog.Value { return slog.StringValue(o.String()) }

// LogValue implements slog.LogValuer without secrets.
func (b Broker) LogValue() slog.Value { return slog.StringValue(b.String()) }
