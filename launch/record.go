package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// A record says what installations did to whose file, so that it can be undone
// to the byte. It is kept in installed.json in the configuration directory.
type record struct {
	Files []fileRecord `json:"files"`
}

// fileRecord is what was done to a file.
type fileRecord struct {
	Client  string   `json:"client"` // claude, or one of Clients
	Path    string   `json:"path"`
	Created bool     `json:"created,omitempty"` // there was no such file
	Changes []change `json:"changes,omitempty"`
	Text    string   `json:"text,omitempty"` // added to a file that is not JSON
}

func (h *Host) recordPath() string { return filepath.Join(h.ConfigDir, "installed.json") }

func (h *Host) readRecord() (r record, err error) {
	data, _, err := readSettings(h.recordPath())
	if err == nil && data != nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read what was installed from %s: %w", h.recordPath(), err)
	}
	return r, nil
}

// of returns what was done to a file; zero but for the names if nothing was.
func (r *record) of(client, path string) fileRecord {
	i := slices.IndexFunc(r.Files, func(f fileRecord) bool { return f.Path == path })
	if i < 0 {
		return fileRecord{Client: client, Path: path}
	}
	return r.Files[i]
}

// note replaces what is recorded of a file. A file to which nothing was done
// is forgotten.
func (h *Host) note(ctx context.Context, f fileRecord) error {
	return editFile(ctx, h.recordPath(), func(data []byte) ([]byte, error) {
		var r record
		if data != nil {
			if err := json.Unmarshal(data, &r); err != nil {
				return nil, err
			}
		}
		r.Files = slices.DeleteFunc(r.Files, func(old fileRecord) bool { return old.Path == f.Path })
		if len(f.Changes) > 0 || f.Text != "" {
			r.Files = append(r.Files, f)
		}
		if len(r.Files) == 0 {
			return nil, nil
		}
		out, err := json.MarshalIndent(r, "", "  ")
		return append(out, '\n'), err
	})
}

// An Outcome says what became of a settings file.
type Outcome string

// The outcomes.
const (
	Added     Outcome = "added"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Removed   Outcome = "removed"
	Absent    Outcome = "absent" // there was nothing of ours to remove
)

// install has a JSON file fulfil wishes in place of those of earlier
// installations. What was done is recorded before the file is written: undoing
// what was not done does nothing.
func (h *Host) install(ctx context.Context, client, path string, wishes []wish) (out Outcome, err error) {
	err = editFile(ctx, path, func(data []byte) ([]byte, error) {
		all, err := h.readRecord()
		if err != nil {
			return nil, err
		}
		rec := all.of(client, path)
		out = Added
		if len(rec.Changes) > 0 {
			out = Updated
		}
		doc := &jsonDoc{data: data}
		if data == nil {
			doc.data, rec.Created = []byte("{}\n"), true
		}
		if same, err := doc.has(wishes, rec.Changes); err != nil || same {
			out = Unchanged
			return data, err
		}
		if _, err := doc.undoAll(rec.Changes); err != nil {
			return nil, err
		}
		if rec.Changes, err = doc.fulfil(wishes); err != nil {
			return nil, err
		}
		return doc.data, h.note(ctx, rec)
	})
	return out, err
}

// uninstall takes back what was recorded of a JSON file. leftover tells of
// parts that somebody changed since and that are left as they are.
func (h *Host) uninstall(ctx context.Context, rec fileRecord) (out Outcome, leftover []string, err error) {
	out = Absent
	err = editFile(ctx, rec.Path, func(data []byte) ([]byte, error) {
		if data == nil {
			return nil, nil
		}
		doc := &jsonDoc{data: data}
		did, err := doc.undoAll(rec.Changes)
		if err != nil {
			return nil, err
		}
		if did {
			out = Removed
		}
		leftover = doc.remains(rec.Changes)
		if root, err := doc.root(); err == nil && rec.Created && len(root.parts) == 0 {
			return nil, nil
		}
		return doc.data, nil
	})
	if err != nil {
		return out, nil, err
	}
	return out, leftover, h.note(ctx, fileRecord{Path: rec.Path})
}

// undoAll goes through changes backwards.
func (d *jsonDoc) undoAll(changes []change) (did bool, err error) {
	if _, err := d.root(); err != nil {
		return false, err
	}
	for _, c := range slices.Backward(changes) {
		undone, err := d.undo(c)
		if err != nil {
			return did, err
		}
		did = did || undone
	}
	return did, nil
}

// has reports whether all wishes are fulfilled and nothing else of ours is
// there.
func (d *jsonDoc) has(wishes []wish, changes []change) (bool, error) {
	probe := &jsonDoc{data: d.data}
	missing, err := probe.fulfil(wishes)
	if err != nil || len(missing) > 0 {
		return false, err
	}
	for _, c := range changes {
		if string(c.Value) == "{}" || string(c.Value) == "[]" {
			continue
		}
		if !slices.ContainsFunc(wishes, func(w wish) bool {
			text, err := json.Marshal(w.value)
			return err == nil && slices.Equal(w.path, c.Path) && sameJSON(text, c.Value)
		}) {
			return false, nil
		}
	}
	return true, nil
}

// remains names the members that are still there after all was undone, because
// they are not as they were made.
func (d *jsonDoc) remains(changes []change) (names []string) {
	for _, c := range changes {
		if c.Element || c.Was != nil || string(c.Value) == "{}" || string(c.Value) == "[]" {
			continue
		}
		if is, err := d.get(c.Path...); err == nil && is != nil {
			names = append(names, spell(c.Path))
		}
	}
	return names
}
