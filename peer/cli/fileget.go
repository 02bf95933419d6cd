package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"claudemesh/peer"
)

// fetchedFileJSON is a file that was fetched.
type fetchedFileJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`      // as who shared it called it
	Path      string `json:"path"`      // where it is now, absolute
	Size      int64  `json:"size"`      // bytes
	Encrypted bool   `json:"encrypted"` // it was, for those it was shared with
	SHA256    string `json:"sha256"`    // of the content as the broker has it
}

func fileGetCommand() Command {
	var output string
	var force bool
	return Command{
		Name:  "get",
		Args:  "<file>",
		Short: "Fetch a shared file",
		Long: `It is written to the present directory under its name, from which characters and
directories that could do harm are taken, or to --output, which may be a directory.
It appears when it is complete and its SHA-256 is right. A connection that breaks
is made again, and the download goes on where it was.`,
		Examples: []string{"claudemesh file get report.pdf", "claudemesh file get 4fKc -o /tmp/build.tar.gz --force"},
		Mesh:     true, JSON: true, Output: fetchedFileJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&output, "output", "", "write it to this `path`")
			Alias(fs, "o", "output")
			fs.BoolVar(&force, "force", false, "replace a file that is there")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			dir, name, err := destination(output)
			if err != nil {
				return err
			}
			defer dir.Close()
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				id, err := fileID(ctx, c, args[0])
				if err != nil {
					return err
				}
				return fetchFile(ctx, env, c, id, peer.FileFetch{Dir: dir, Name: name, Overwrite: force})
			})
		},
	}
}

// destination opens the directory that a file goes to, and returns its name
// there, "" if whoever shared it may choose that.
func destination(output string) (dir *os.Root, name string, err error) {
	path := output
	if output == "" {
		path = "."
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		if os.IsPathSeparator(path[len(path)-1]) {
			return nil, "", fmt.Errorf("there is no directory %s", path)
		}
		path, name = filepath.Dir(path), filepath.Base(path)
	}
	dir, err = os.OpenRoot(path)
	return dir, name, err
}

func fetchFile(ctx context.Context, env *Env, c *peer.Client, id string, fetch peer.FileFetch) error {
	bar, done := env.transfer("fetching")
	defer done()
	fetch.Progress = bar.moved
	got, err := c.FetchFile(ctx, id, fetch)
	done()
	if errors.Is(err, fs.ErrExist) {
		return WithHint(fmt.Errorf("%s is there already", filepath.Join(fetch.Dir.Name(), got.Name)), "--force replaces it, and -o writes to another path")
	}
	if err != nil {
		return fileHint(err)
	}
	path, err := filepath.Abs(filepath.Join(fetch.Dir.Name(), got.Name))
	if err != nil {
		return err
	}
	if env.JSON {
		return env.Out().JSON(fetchedFileJSON{got.ID, got.GivenName, path, got.Size, got.Encrypted, got.SHA256})
	}
	env.Out().Printf("Saved %s to %s.\n", sizeOf(got.Size), path)
	return nil
}
