package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"claudemesh/peer/share"
)

const (
	accessName   = "shared.log"
	maxAccessLog = 1 << 20 // bytes of the log; the one before it is kept as well
)

// An Access is one entry of the log of what peers read: a line of JSON in
// AccessLog.
type Access struct {
	Time    time.Time `json:"time"`              // when it was answered
	Mesh    string    `json:"mesh"`              // slug
	Peer    string    `json:"peer"`              // key of who asked
	Name    string    `json:"name"`              // what it called itself
	Kind    string    `json:"kind"`              // file or directory
	Path    string    `json:"path"`              // as it was asked for
	Size    int       `json:"size,omitempty"`    // in bytes, or entries of a directory
	Refused string    `json:"refused,omitempty"` // why the peer got nothing
}

// UserDir returns the configuration directory of the user, also where launch has
// given the session a configuration of its own.
func (c *Config) UserDir() string {
	if c.SessionsDir != "" {
		return filepath.Dir(c.SessionsDir)
	}
	return c.dir
}

// AccessLog returns the path of the file in which each access of a peer to
// a shared directory is logged, whether or not it exists.
func (c *Config) AccessLog() string { return filepath.Join(c.UserDir(), accessName) }

// Shared returns the directories whose files the peers of a mesh may read:
// those of the mesh, then those for every mesh. They are the user's, not those
// of a launched session's own configuration, so that what is ended here ends in
// running sessions too. A mesh that the user has left shares nothing.
func (c *Config) Shared(meshID string) (share.Dirs, error) {
	never := []string{c.dir}
	if own := c.UserDir(); own != c.dir {
		users, err := LoadConfig(own)
		if err != nil {
			return share.Dirs{}, err
		}
		c, never = users, append(never, own)
	}
	i := slices.IndexFunc(c.Meshes, func(m Mesh) bool { return m.MeshID == meshID })
	if i < 0 {
		return share.Dirs{}, nil
	}
	d := share.Dirs{Never: never}
	for _, dir := range slices.Concat(c.Meshes[i].SharedDirs, c.SharedDirs) {
		if filepath.IsAbs(dir) && !slices.Contains(d.Paths, dir) {
			d.Paths = append(d.Paths, dir)
		}
	}
	return d, nil
}

// logAccess appends to the log, which is begun anew when it is full.
func (c *Config) logAccess(a Access) error {
	line, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("log an access: %w", err)
	}
	path := c.AccessLog()
	if info, err := os.Stat(path); err == nil && info.Size() > maxAccessLog {
		if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log an access: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("log an access: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
