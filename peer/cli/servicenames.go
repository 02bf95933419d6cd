package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"

	"claudemesh/peer"
	"claudemesh/wire"
)

// Completion asks no broker: it offers the names of services that commands have
// seen last, which are kept in the configuration directory.
const (
	namesFile  = "service-names.json" // mesh id to names
	maxNames   = 64 << 10             // bytes of it
	keptByMesh = 100
)

// serviceNames is a Completer of them, of all meshes.
func serviceNames(env *Env) (names []string) {
	for _, of := range readNames(env) {
		for _, name := range of {
			if wire.ValidServerName(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func readNames(env *Env) map[string][]string {
	all := make(map[string][]string)
	f, err := os.Open(filepath.Join(env.ConfigDir, namesFile))
	if err != nil {
		return all
	}
	defer f.Close()
	if p, err := io.ReadAll(io.LimitReader(f, maxNames)); err != nil || json.Unmarshal(p, &all) != nil || all == nil {
		return make(map[string][]string)
	}
	return all
}

// noteServices changes which names of a mesh are offered. That it cannot is no
// failure of a command.
func noteServices(env *Env, c *peer.Client, change func(names []string) []string) {
	all := readNames(env)
	id := c.Mesh().MeshID
	was := all[id]
	now := change(slices.Clone(was))
	if now = now[:min(len(now), keptByMesh)]; slices.Equal(was, now) {
		return
	}
	all[id] = now
	p, err := json.Marshal(all)
	if err != nil || len(p) > maxNames {
		return
	}
	f, err := os.CreateTemp(env.ConfigDir, namesFile+"-*")
	if err != nil {
		return
	}
	_, err = f.Write(p)
	if f.Close() != nil || err != nil || os.Rename(f.Name(), filepath.Join(env.ConfigDir, namesFile)) != nil {
		os.Remove(f.Name())
	}
}

// noteService has one name be offered.
func noteService(env *Env, c *peer.Client, name string) {
	noteServices(env, c, func(names []string) []string {
		if slices.Contains(names, name) {
			return names
		}
		return append(names, name)
	})
}
