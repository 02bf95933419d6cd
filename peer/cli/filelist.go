package cli

import (
	"context"
	"flag"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// grantedJSON says who was given access to a file.
type grantedJSON struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"` // of the peer
	Target string `json:"target"`         // key
}

// deletedFileJSON is a file that was deleted.
type deletedFileJSON struct {
	ID string `json:"id"`
}

func fileListCommand() Command {
	var from string
	return Command{
		Name:     "list",
		Args:     "[text]",
		Short:    "List the files that you may fetch, the newest first",
		Long:     "A text finds the files with it in their name or one of their tags. At most 100 are shown.",
		Examples: []string{"claudemesh file list", "claudemesh file list incident --from bob --json"},
		Mesh:     true, JSON: true, Output: []wire.File{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&from, "from", "", "list only what the peer with this `name` shared")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListFiles{Query: strings.Join(args, " "), From: from})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(list.Files)
				}
				printFiles(env, list.Files)
				switch {
				case len(list.Files) == 0 && (len(args) > 0 || from != ""):
					env.Err().Printf("There is no such file for you in %s.\n", c.Mesh().Slug)
				case len(list.Files) == 0:
					env.Err().Printf("There are no files for you in %s. Share one with `claudemesh file share <path>`.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}

func printFiles(env *Env, files []wire.File) {
	table := env.Out().Table("ID", "NAME", "SIZE", "BY", "WHEN", "FOR", "TAGS")
	for _, f := range files {
		table.Row(env.Out().id(f.ID), Styled{Bold, f.Name}, env.size(f.Size), f.UploadedBy, f.UploadedAt, readersOf(&f), strings.Join(f.Tags, ", "))
	}
	table.Flush()
}

// size writes a size for whoever reads it.
func (e *Env) size(n int64) any {
	if e.Out().Terminal() {
		return sizeOf(n)
	}
	return n
}

// readersOf says in a word who may fetch a file, "" for everyone.
func readersOf(f *wire.File) string {
	switch {
	case f.Encrypted:
		return "encrypted"
	case len(f.TargetSpec) == 64:
		return shortKey(f.TargetSpec)
	}
	return f.TargetSpec
}

func fileStatusCommand() Command {
	return Command{
		Name:     "status",
		Args:     "<file>",
		Short:    "Show who fetched a file",
		Examples: []string{"claudemesh file status report.pdf"},
		Mesh:     true, JSON: true, Output: wire.FileStatus{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onFile(ctx, env, args[0], func(ctx context.Context, c *peer.Client, id string) error {
				st, err := peer.Call(ctx, c, wire.GetFileStatus{FileID: id})
				if err != nil {
					return fileHint(err)
				}
				if env.JSON {
					return env.Out().JSON(st)
				}
				if st.File != nil {
					printFiles(env, []wire.File{*st.File})
				}
				for _, a := range st.Accesses {
					env.Out().Printf("fetched by %s %s\n", a.PeerName, a.AccessedAt)
				}
				if len(st.Accesses) == 0 {
					env.Out().Printf("Nobody has fetched it.\n")
				}
				return nil
			})
		},
	}
}

func fileRmCommand() Command {
	return Command{
		Name:     "rm",
		Args:     "<file>",
		Short:    "Delete a file that you shared, or as an admin any",
		Long:     "It is gone for everyone. Who has fetched it keeps what they have.",
		Examples: []string{"claudemesh file rm report.pdf"},
		Mesh:     true, JSON: true, Output: deletedFileJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onFile(ctx, env, args[0], func(ctx context.Context, c *peer.Client, id string) error {
				ack, err := peer.Call(ctx, c, wire.DeleteFile{FileID: id})
				if err == nil && ack.Unknown {
					err = wire.Errorf(wire.NotFound, "there is no file %q", id)
				}
				if err != nil {
					return fileHint(err)
				}
				if env.JSON {
					return env.Out().JSON(deletedFileJSON{id})
				}
				env.Out().Printf("Deleted %s.\n", id)
				return nil
			})
		},
	}
}

func fileGrantCommand() Command {
	return Command{
		Name:     "grant",
		Args:     "<file> <peer>",
		Short:    "Let one more peer open an encrypted file that you shared",
		Examples: []string{"claudemesh file grant build.tar.gz dave"},
		Mesh:     true, JSON: true, Output: grantedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onFile(ctx, env, args[0], func(ctx context.Context, c *peer.Client, id string) error {
				to, err := c.GrantFile(ctx, id, args[1])
				if err != nil {
					return fileHint(err)
				}
				out := grantedJSON{id, to.Name, to.Target.Name}
				if env.JSON {
					return env.Out().JSON(out)
				}
				env.Out().Printf("%s may open it now.\n", readerNames([]fileReaderJSON{{out.Name, out.Target}}))
				return nil
			})
		},
	}
}

// onFile is onMesh with the id of the file that a text means.
func onFile(ctx context.Context, env *Env, text string, use func(context.Context, *peer.Client, string) error) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		id, err := fileID(ctx, c, text)
		if err != nil {
			return err
		}
		return use(ctx, c, id)
	})
}
