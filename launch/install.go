package launch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ClaudeCode is the client that Install sets up unless another is named.
const ClaudeCode = "claude"

// InstallOptions say what Install does.
type InstallOptions struct {
	// Client is ClaudeCode or one of Clients; empty is ClaudeCode.
	Client string
	// NoHooks leaves the hooks out: mail then reaches the model only when it
	// uses a tool, or by a channel.
	NoHooks bool
	// Native lets the MCP server write to the host's own messaging socket.
	Native bool
}

// Installed says what Install and Uninstall did.
type Installed struct {
	Client string `json:"client"` // claude, codex, gemini, opencode or cursor
	// FoundAt is where the client was found before anything was written: its
	// program or its directory; empty if there was no trace of it.
	FoundAt string `json:"foundAt,omitempty"`
	// Missing says in a sentence what was looked for, if nothing was found.
	Missing string `json:"missing,omitempty"`
	// Command is what the client starts.
	Command []string    `json:"command,omitempty"`
	Files   []FileState `json:"files"` // settings files
	// Proof is what trying the installation showed.
	Proof *Proof `json:"proof,omitempty"`
}

// FileState says what became of one settings file.
type FileState struct {
	Path    string  `json:"path"`    // of the settings file
	Outcome Outcome `json:"outcome"` // added, updated, unchanged, removed or absent
	// Backup is a copy of the file as it was before.
	Backup string `json:"backup,omitempty"`
	// Left are parts that somebody changed since they were installed, and that
	// uninstall leaves.
	Left []string `json:"left,omitempty"`
}

// Install puts the MCP server, the permission to use its tools and the hooks
// into the settings of a client, and nothing twice. What it replaces is
// recorded for Uninstall, and files that it changes are copied to the
// directory backups of the client first. A settings file that cannot be read is
// an error, and then no file is changed. A client that is not on this machine is
// set up all the same, for whoever installs it later.
func (h *Host) Install(ctx context.Context, o InstallOptions) (Installed, error) {
	if o.Client == "" {
		o.Client = ClaudeCode
	}
	in := Installed{Client: o.Client, Command: []string{h.Command, "mcp"}, Files: []FileState{}}
	targets, err := h.targets(o)
	if err != nil {
		return in, err
	}
	in.FoundAt, in.Missing = h.present(o.Client)
	for _, t := range targets {
		if err := t.check(); err != nil {
			return in, err
		}
	}
	for _, t := range targets {
		backup, err := h.backUp(t.path)
		if err != nil {
			return in, fmt.Errorf("back up %s: %w", t.path, err)
		}
		out, err := t.install(ctx, h, o.Client)
		if err != nil {
			return in, errors.Join(err, removeBackup(backup))
		}
		if out == Unchanged {
			if err := removeBackup(backup); err != nil {
				return in, err
			}
			backup = ""
		}
		in.Files = append(in.Files, FileState{Path: t.path, Outcome: out, Backup: backup})
	}
	return in, nil
}

// IsInstalled reports whether Claude Code's settings have the MCP server.
func (h *Host) IsInstalled() bool { return h.checkServer().OK }

// Uninstall takes back what Install did for a client: where nothing else was
// changed since, files are what they were to the byte. Without a record of
// what was done it removes what Install would add.
func (h *Host) Uninstall(ctx context.Context, client string) (Installed, error) {
	if client == "" {
		client = ClaudeCode
	}
	un := Installed{Client: client, Files: []FileState{}}
	targets, err := h.targets(InstallOptions{Client: client})
	if err != nil {
		return un, err
	}
	all, err := h.readRecord()
	if err != nil {
		return un, err
	}
	var faults []error
	for _, t := range targets {
		rec := all.of(client, t.path)
		if len(rec.Changes) == 0 && rec.Text == "" {
			rec = t.assumed(client)
		}
		undo := h.uninstall
		if rec.Text != "" {
			undo = h.uninstallText
		}
		out, left, err := undo(ctx, rec)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		un.Files = append(un.Files, FileState{Path: t.path, Outcome: out, Left: left})
	}
	return un, errors.Join(faults...)
}

// A target is a settings file and what an installation wants in it.
type target struct {
	path   string
	wishes []wish // of a file that is JSON
	text   string // of one that is not
}

func (h *Host) targets(o InstallOptions) ([]target, error) {
	if o.Client == ClaudeCode {
		return []target{
			{path: h.Global, wishes: h.globalWishes(o.Native)},
			{path: h.settings(), wishes: h.settingsWishes(!o.NoHooks)},
		}, nil
	}
	c, err := h.client(o.Client)
	return []target{c}, err
}

// check reports what would keep the file from being changed.
func (t *target) check() error {
	data, _, err := readSettings(t.path)
	if err != nil || data == nil || t.text != "" {
		return err
	}
	if _, err := (&jsonDoc{data: data}).fulfil(t.wishes); err != nil {
		return fmt.Errorf("%s is left as it is: %w", t.path, err)
	}
	return nil
}

func (t *target) install(ctx context.Context, h *Host, client string) (Outcome, error) {
	if t.text != "" {
		return h.installText(ctx, client, t.path, t.text)
	}
	return h.install(ctx, client, t.path, t.wishes)
}

// assumed is the record of an installation whose record is lost.
func (t *target) assumed(client string) fileRecord {
	if t.text != "" {
		return fileRecord{Client: client, Path: t.path, Text: t.text}
	}
	blank := &jsonDoc{data: []byte("{}\n")}
	changes, err := blank.fulfil(t.wishes)
	if err != nil {
		changes = nil
	}
	// Containers that are empty then may be the user's.
	changes = slices.DeleteFunc(changes, func(c change) bool { return string(c.Value) == "{}" || string(c.Value) == "[]" })
	return fileRecord{Client: client, Path: t.path, Changes: changes}
}

const keptBackups = 10 // of a file

// backUp copies a settings file to the host's directory of backups; the
// oldest copies go. It returns the empty path if there is no file.
func (h *Host) backUp(path string) (string, error) {
	data, _, err := readSettings(path)
	if err != nil || data == nil {
		return "", err
	}
	dir := filepath.Join(h.Dir, "backups")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	stem := filepath.Join(dir, filepath.Base(path)+".pre-claudemesh.")
	name := fmt.Sprintf("%s%d", stem, time.Now().UnixMilli())
	if err := writeNew(name, data, 0o600); err != nil {
		return "", err
	}
	older, err := filepath.Glob(stem + "*")
	if err != nil {
		return name, nil // a directory with odd characters keeps all
	}
	slices.Sort(older)
	for _, old := range older[:max(0, len(older)-keptBackups)] {
		if err := os.Remove(old); err != nil {
			return name, err
		}
	}
	return name, nil
}

func removeBackup(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
