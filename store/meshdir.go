package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// dbName is the file in a mesh's directory that makes it one.
const dbName = "mesh.db"

var meshIDPattern = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// MeshDir returns the directory of a mesh in the data directory dir, whether
// it is there or not. It refuses an id that could lead elsewhere.
func MeshDir(dir, id string) (string, error) {
	if !meshIDPattern.MatchString(id) {
		return "", fmt.Errorf("store: mesh id %.80q: must be 1 to 64 of letters, digits, _ and -", id)
	}
	return filepath.Join(dir, "meshes", id), nil
}

// MeshFile returns the file of a mesh in the data directory dir, for [Open].
func MeshFile(dir, id string) (string, error) {
	d, err := MeshDir(dir, id)
	if err != nil {
		return "", err
	}
	return filepath.Join(d, dbName), nil
}

// Meshes lists the ids of the meshes in the data directory dir, sorted.
func Meshes(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "meshes"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var ids []string
	for _, e := range entries {
		name, err := MeshFile(dir, e.Name())
		if err != nil {
			continue
		}
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// CreateMeshDir makes the directory and the file of a new mesh in the data
// directory dir, which the caller has locked, and returns the path of the file
// for [Open]: ErrConflict if there is such a mesh. After a crash the mesh is
// there in full or not at all.
func CreateMeshDir(ctx context.Context, dir string, m Mesh) (string, error) {
	final, err := MeshDir(dir, m.ID)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(final); err == nil {
		return "", fmt.Errorf("store: mesh %s is already there: %w", m.ID, ErrConflict)
	}
	parent := filepath.Dir(final)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	temp := filepath.Join(parent, ".new-"+m.ID)
	if err := fillMeshDir(ctx, temp, m); err != nil {
		return "", errors.Join(fmt.Errorf("store: make mesh %s: %w", m.ID, err), os.RemoveAll(temp))
	}
	if err := os.Rename(temp, final); err != nil {
		return "", errors.Join(fmt.Errorf("store: make mesh %s: %w", m.ID, err), os.RemoveAll(temp))
	}
	if err := syncDir(parent); err != nil {
		return "", fmt.Errorf("store: make mesh %s: %w", m.ID, err)
	}
	return filepath.Join(final, dbName), nil
}

func fillMeshDir(ctx context.Context, temp string, m Mesh) error {
	if err := os.RemoveAll(temp); err != nil { // left by a crash
		return err
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	db, err := Open(ctx, filepath.Join(temp, dbName), Options{})
	if err != nil {
		return err
	}
	err = db.Write(ctx, func(tx *Tx) error { return tx.CreateMesh(m) })
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return syncDir(temp)
}
