package runner

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"claudemesh/wire"
)

// A secretFile is a value that becomes a file.
type secretFile struct {
	path string // below the directory of secrets
	data []byte
}

// parseSecret returns the file that a value becomes, nil if it is none.
func parseSecret(name, value string) (*secretFile, error) {
	named, data, ok, err := wire.ParseVaultFileValue(value)
	if !ok {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the variable %s is no file of a vault: %w", name, err)
	}
	p := strings.TrimLeft(named, "/")
	if slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsAny(p, "\x00\\") {
		return nil, fmt.Errorf("the path of the file of the variable %s leads out of its directory: leave the .. out", name)
	}
	p = path.Clean(p)
	if p == "." || len(p) > wire.MaxPath || !filepath.IsLocal(p) {
		return nil, fmt.Errorf("the file of the variable %s has no path that a file could have", name)
	}
	return &secretFile{p, data}, nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkEnv checks the variables of a service.
func checkEnv(env map[string]string) error {
	paths := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !variable.MatchString(name) {
			return fmt.Errorf("%.80q is no name of a variable: letters, digits and _, beginning with no digit", name)
		}
		if strings.ContainsRune(env[name], 0) {
			return fmt.Errorf("the variable %s has a zero byte in it, which none can have", name)
		}
		f, err := parseSecret(name, env[name])
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		for of, other := range paths {
			if other == f.path || strings.HasPrefix(other, f.path+"/") || strings.HasPrefix(f.path, other+"/") {
				return fmt.Errorf("the files of the variables %s and %s have the same path, or one is where the other has its directory", of, name)
			}
		}
		paths[name] = f.path
	}
	return nil
}

// secretsOf lists the values that are kept out of logs and errors.
func secretsOf(spec Spec) []string {
	values := []string{spec.Source.Auth}
	for name, value := range spec.Env {
		values = append(values, value)
		if f, err := parseSecret(name, value); err == nil && f != nil {
			values = append(values, string(f.data), value[strings.LastIndexByte(value, ':')+1:])
		}
	}
	return values
}

// secretsOf is where the files of a build's environment are.
func (s *service) secretsOf(build int) string {
	return filepath.Join(s.dir, secretsDir, strconv.Itoa(build))
}

// DropSecrets deletes the files of the environments of services, below the
// directory of the services of a mesh, that a broker which was killed has left. It is
// called while none of them runs, and needs no Runner: there may never be one.
func DropSecrets(dir string) error {
	services, err := os.ReadDir(dir)
	err = ignoreMissing(err)
	for _, e := range services {
		err = errors.Join(err, removeAll(filepath.Join(dir, e.Name(), secretsDir)))
	}
	return err
}

// writeSecrets returns the variables of a service for one of its builds, having
// written the files among them.
func (s *service) writeSecrets(build int, env map[string]string) ([]string, error) {
	dir := s.secretsOf(build)
	if err := removeAll(dir); err != nil {
		return nil, err
	}
	var vars []string
	var root *os.Root
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		f, err := parseSecret(name, value)
		if err == nil && f != nil {
			if root == nil {
				if root, err = makeRoot(dir); err != nil {
					return nil, err
				}
				defer root.Close()
			}
			err = f.write(root)
			value = filepath.Join(dir, filepath.FromSlash(f.path))
		}
		if err != nil {
			return nil, fmt.Errorf("write the file of the variable %s: %w", name, err)
		}
		vars = append(vars, name+"="+value)
	}
	return vars, nil
}

func makeRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func (f *secretFile) write(root *os.Root) error {
	if err := root.MkdirAll(path.Dir(f.path), 0o700); err != nil {
		return err
	}
	file, err := root.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(f.data)
	return errors.Join(err, file.Close())
}
