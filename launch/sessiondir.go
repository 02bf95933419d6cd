package launch

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"claudemesh/peer"
)

const (
	pidName = "pid.json"
	// keptSession is how long the persona of a session that has ended is kept.
	keptSession = 30 * 24 * time.Hour
)

// sessionDir is the configuration directory that Launch makes for a session.
func (h *Host) sessionDir(id string) string { return peer.LaunchedDir(h.ConfigDir, id) }

// pidFile names the process that uses a session's directory.
type pidFile struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // as processStart has it
}

// runs reports whether that very process still runs.
func (p pidFile) runs() bool { return p.Start != "" && peer.ProcessStart(p.PID) == p.Start }

// writeSession makes the directory of a session: its configuration, what it is
// remembered by, and whose it is.
func writeSession(ctx context.Context, dir string, c *peer.Config, mesh *peer.Mesh, p peer.Persona) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, v := range map[string]any{pidName: pidFile{os.Getpid(), peer.ProcessStart(os.Getpid())}, peer.PersonaName: p} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := writeNew(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return peer.UpdateConfig(ctx, dir, func(own *peer.Config) error {
		own.Meshes = []peer.Mesh{*mesh}
		own.DisplayName, own.Role, own.Groups, own.MessageMode = p.Name, p.Role, p.Groups, p.Mode
		own.SharedDirs, own.FileDirs, own.SessionsDir = c.SharedDirs, c.FileDirs, c.SessionKeys().Dir()
		return nil
	})
}

// Tidy removes what launched sessions leave behind whose host has ended and
// that mail does not wake: their configuration, which has keys, at once, the
// rest after 30 days.
func (h *Host) Tidy() error {
	entries, err := os.ReadDir(filepath.Join(h.ConfigDir, "launched"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var faults []error
	for _, e := range entries {
		dir := filepath.Join(h.ConfigDir, "launched", e.Name())
		if !peer.ValidHostSession(e.Name()) || inUse(dir) {
			continue
		}
		faults = append(faults, tidyDir(dir))
	}
	return errors.Join(faults...)
}

// inUse reports whether the process that a directory was made for still runs,
// or the one that waits for mail of its session.
func inUse(dir string) bool {
	return inUseBy(filepath.Join(dir, pidName)) || inUseBy(filepath.Join(dir, keeperName))
}

// inUseBy reports whether the process that a file names still runs.
func inUseBy(path string) bool {
	var p pidFile
	data, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(data, &p) == nil && p.runs()
}

func tidyDir(dir string) error {
	info, err := os.Stat(filepath.Join(dir, peer.PersonaName))
	if err != nil || time.Since(info.ModTime()) > keptSession {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		// Whoever waits for the lock must find that very file.
		if slices.Contains([]string{peer.PersonaName, keeperLog, keeperLock}, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
