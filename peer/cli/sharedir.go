package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"claudemesh/peer"
	"claudemesh/peer/share"
)

// sharedDirJSON is a directory whose files peers may read.
type sharedDirJSON struct {
	Dir  string `json:"dir"`            // absolute
	Mesh string `json:"mesh,omitempty"` // slug; absent if every mesh may read it
}

func shareDirCommand() Command {
	return Command{
		Name: "share-dir", Theme: Share, Short: "Let peers read the files of a directory, and see who did",
		Long: `Nothing of this machine can be read by peers until you share a directory. Then
every member of the mesh can list and read what is in it, while a session of yours
is connected: regular files of at most 1 MiB, but no names that begin with a dot
and nothing that looks like a key or a credential.`,
		Sub: []Command{shareDirAddCommand(), shareDirRmCommand(), shareDirListCommand(), shareDirLogCommand()},
	}
}

func shareDirAddCommand() Command {
	var every bool
	return Command{
		Name:     "add",
		Args:     "<directory>",
		Short:    "Share a directory with the members of a mesh",
		Long:     "Running sessions serve it at once. Symbolic links in it are followed only within it.",
		Examples: []string{"claudemesh share-dir add .", "claudemesh share-dir add ~/src/app --every-mesh"},
		Mesh:     true, JSON: true, Output: sharedDirJSON{},
		Flags: everyMeshFlag(&every),
		Run: func(ctx context.Context, env *Env, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			home, _ := os.UserHomeDir() // without one there is nothing to protect
			if err := share.Check(dir, home); err != nil {
				return err
			}
			done := sharedDirJSON{Dir: dir}
			add := func(dirs []string) []string {
				if !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
				return dirs
			}
			if done.Mesh, err = changeShared(ctx, env, every, add); err != nil {
				return err
			}
			if env.JSON {
				return env.Out().JSON(done)
			}
			env.Out().Printf("Members of %s can read %s while a session of yours is connected.\n", meshOrAll(done.Mesh), dir)
			return nil
		},
	}
}

func shareDirRmCommand() Command {
	var every bool
	return Command{
		Name:     "rm",
		Args:     "<directory>",
		Short:    "Stop sharing a directory",
		Long:     "Running sessions stop at once. The directory itself is left as it is.",
		Examples: []string{"claudemesh share-dir rm ."},
		Mesh:     true, JSON: true, Output: sharedDirJSON{},
		Flags: everyMeshFlag(&every),
		Run: func(ctx context.Context, env *Env, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			done, was := sharedDirJSON{Dir: dir}, false
			remove := func(dirs []string) []string {
				was = slices.Contains(dirs, dir)
				return slices.DeleteFunc(dirs, func(d string) bool { return d == dir })
			}
			done.Mesh, err = changeShared(ctx, env, every, remove)
			switch {
			case err != nil:
				return err
			case !was:
				return WithHint(errors.New(dir+" is not shared with "+meshOrAll(done.Mesh)), "`claudemesh share-dir list` shows what is")
			case env.JSON:
				return env.Out().JSON(done)
			}
			env.Out().Printf("Members of %s can no longer read %s.\n", meshOrAll(done.Mesh), dir)
			return nil
		},
	}
}

func everyMeshFlag(every *bool) func(*flag.FlagSet) {
	return func(fs *flag.FlagSet) {
		fs.BoolVar(every, "every-mesh", false, "change what is shared with the members of every mesh")
	}
}

func meshOrAll(slug string) string {
	if slug == "" {
		return "every mesh"
	}
	return slug
}

// changeShared changes the directories of the chosen mesh, or of every mesh,
// and returns its slug.
func changeShared(ctx context.Context, env *Env, every bool, change func([]string) []string) (slug string, err error) {
	c, err := env.Config()
	if err != nil {
		return "", err
	}
	err = peer.UpdateConfig(ctx, c.UserDir(), func(c *peer.Config) error {
		if every {
			c.SharedDirs = change(c.SharedDirs)
			return nil
		}
		m, err := c.Mesh(env.Mesh)
		if err != nil {
			return err
		}
		m.SharedDirs, slug = change(m.SharedDirs), m.Slug
		return nil
	})
	return slug, err
}

// usersConfig is the configuration that says what is shared: the user's, also
// within a launched session.
func usersConfig(env *Env) (*peer.Config, error) {
	c, err := env.Config()
	if err != nil || c.UserDir() == c.Dir() {
		return c, err
	}
	return peer.LoadConfig(c.UserDir())
}

func shareDirListCommand() Command {
	return Command{
		Name:     "list",
		Short:    "List the directories that peers may read",
		Examples: []string{"claudemesh share-dir list"},
		JSON:     true, Output: []sharedDirJSON{},
		Run: func(_ context.Context, env *Env, _ []string) error {
			c, err := usersConfig(env)
			if err != nil {
				return err
			}
			all := []sharedDirJSON{}
			for _, d := range c.SharedDirs {
				all = append(all, sharedDirJSON{Dir: d})
			}
			for _, m := range c.Meshes {
				for _, d := range m.SharedDirs {
					all = append(all, sharedDirJSON{d, m.Slug})
				}
			}
			if env.JSON {
				return env.Out().JSON(all)
			}
			table := env.Out().Table("DIRECTORY", "READABLE IN")
			for _, d := range all {
				table.Row(d.Dir, meshOrAll(d.Mesh))
			}
			table.Flush()
			if len(all) == 0 {
				env.Err().Printf("Nothing is shared. `claudemesh share-dir add <directory>` shares a directory.\n")
			}
			return nil
		},
	}
}

// maxShownAccesses is how many lines of the log are shown, the newest.
const maxShownAccesses = 200

func shareDirLogCommand() Command {
	return Command{
		Name:     "log",
		Short:    "Show what peers have read, and what they were refused",
		Examples: []string{"claudemesh share-dir log", "claudemesh share-dir log --json"},
		JSON:     true, Output: []peer.Access{},
		Run: func(_ context.Context, env *Env, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			all, err := readAccesses(c.AccessLog())
			if err != nil {
				return err
			}
			if env.JSON {
				return env.Out().JSON(all)
			}
			table := env.Out().Table("TIME", "MESH", "PEER", "KEY", "PATH", "RESULT")
			for _, a := range all {
				result := many(a.Size, "byte")
				if a.Kind == "directory" {
					result = many(a.Size, "name")
				}
				if a.Refused != "" {
					result = a.Refused
				}
				table.Row(env.Out().Time(a.Time), a.Mesh, a.Name, shortKey(a.Peer), a.Path, result)
			}
			table.Flush()
			if len(all) == 0 {
				env.Err().Printf("No peer has asked for a file.\n")
			}
			return nil
		},
	}
}

func readAccesses(path string) ([]peer.Access, error) {
	all := []peer.Access{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var a peer.Access
		if json.Unmarshal(lines.Bytes(), &a) == nil {
			all = append(all, a)
		}
	}
	return all[max(0, len(all)-maxShownAccesses):], lines.Err()
}
