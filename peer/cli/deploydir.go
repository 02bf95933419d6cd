package cli

import (
	"archive/zip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// Limits of an archive, as the broker unpacks it.
const (
	maxArchiveFiles = 10_000
	maxArchiveBytes = 500 << 20 // unpacked
)

// An archive is a zip of a project that is deployed. Nil is none.
type archive struct {
	file *os.File
	temp bool // it was made for this, and is removed
}

// archive is what the flags say to upload.
func (f *deployFlags) archive(env *Env, name string) (*archive, error) {
	switch {
	case f.zip != "":
		file, err := os.Open(f.zip)
		if err != nil {
			return nil, err
		}
		return &archive{file: file}, nil
	case f.dir != "":
		return packDir(env, f.dir, name)
	}
	return nil, nil
}

// packDir makes an archive of a directory and says how large it is and what it
// leaves out for the secrets that may be in it.
func packDir(env *Env, dir, name string) (*archive, error) {
	file, err := os.CreateTemp("", name+"-*.zip")
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, temp: true}
	done := env.Progress("packing " + dir)
	p := packer{zip: zip.NewWriter(file)}
	err = p.pack(dir)
	if err == nil {
		err = p.zip.Close()
	}
	done()
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr); err != nil {
		a.close()
		return nil, err
	}
	env.Err().Printf("Packed %s of %s, %s in all.\n", many(p.files, "file"), dir, sizeOf(info.Size()))
	if len(p.secrets) > 0 {
		env.Err().Printf("Left out, for they may hold secrets: %s. Give those by --env-file or from the vault.\n", strings.Join(p.secrets, ", "))
	}
	if len(p.links) > 0 {
		env.Err().Printf("Left out, for they are links: %s\n", strings.Join(p.links, ", "))
	}
	return a, nil
}

// A packer puts the files of a project into a zip.
type packer struct {
	zip            *zip.Writer
	files          int
	size           int64
	secrets, links []string // left out; a few of them
}

func (p *packer) pack(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case e.IsDir() && madeElsewhere(e.Name()):
			return fs.SkipDir
		case e.IsDir():
			return nil
		case e.Type()&fs.ModeSymlink != 0:
			p.links = few(p.links, name)
			return nil
		case !e.Type().IsRegular() || e.Name() == ".DS_Store" || strings.HasSuffix(e.Name(), ".pyc"):
			return nil
		case mayBeSecret(e.Name()):
			p.secrets = few(p.secrets, name)
			return nil
		}
		return p.add(root, name, e)
	})
	if err == nil && p.files == 0 {
		err = fmt.Errorf("%s has nothing to deploy", dir)
	}
	return err
}

func (p *packer) add(root *os.Root, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	p.files++
	p.size += info.Size()
	if p.files > maxArchiveFiles || p.size > maxArchiveBytes {
		return fmt.Errorf("there are more than %d files or %s to pack: deploy a directory that has the service alone", maxArchiveFiles, sizeOf(maxArchiveBytes))
	}
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	h := &zip.FileHeader{Name: path.Clean(filepath.ToSlash(name)), Method: zip.Deflate}
	h.SetMode(0o644 | info.Mode().Perm()&0o111)
	out, err := p.zip.CreateHeader(h)
	if err == nil {
		_, err = io.Copy(out, io.LimitReader(in, maxArchiveBytes))
	}
	return err
}

func few(all []string, name string) []string {
	if len(all) < 10 {
		all = append(all, name)
	}
	return all
}

// madeElsewhere reports whether a directory is one that the broker makes itself,
// or that tools keep beside a project.
func madeElsewhere(name string) bool {
	return slices.Contains([]string{
		".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
		".cache", ".idea", ".vscode", ".terraform", ".ssh", ".aws", ".gnupg", ".claude", ".claudemesh",
	}, name)
}

// mayBeSecret reports whether a file is of those that projects keep credentials
// in beside their source.
func mayBeSecret(name string) bool {
	name = strings.ToLower(name)
	switch ext := path.Ext(name); {
	case name == ".env" || strings.HasPrefix(name, ".env."):
		return ext != ".example" && ext != ".sample" && ext != ".template"
	case ext == ".pem" || ext == ".key" || ext == ".p12" || ext == ".pfx":
		return true
	}
	return slices.Contains([]string{".npmrc", ".netrc", ".pypirc", ".git-credentials", "id_rsa", "id_ecdsa", "id_ed25519", "credentials.json"}, name)
}

// close lets go of the archive.
func (a *archive) close() {
	if a == nil {
		return
	}
	a.file.Close()
	if a.temp {
		os.Remove(a.file.Name())
	}
}

// upload shares the archive and returns its id. The broker must be able to read
// it, and nobody else is to: it is for a group that nobody knows.
func (a *archive) upload(ctx context.Context, env *Env, c *peer.Client) (id string, err error) {
	if a == nil {
		return "", nil
	}
	info, err := a.file.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() > wire.MaxServiceZip {
		return "", fmt.Errorf("the archive has %s, and %s are the most", sizeOf(info.Size()), sizeOf(wire.MaxServiceZip))
	}
	bar, done := env.transfer("uploading")
	defer done()
	shared, err := c.ShareFile(ctx, a.file, peer.FileShare{To: []string{"@deploy-" + rand.Text()}, Ephemeral: true, Progress: bar.moved})
	return shared.ID, err
}

// withdraw deletes what was uploaded once the broker has unpacked it. What is
// left expires.
func (a *archive) withdraw(ctx context.Context, c *peer.Client, id string) {
	if a != nil {
		peer.Call(ctx, c, wire.DeleteFile{FileID: id})
	}
}
