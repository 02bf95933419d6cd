package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"claudemesh/peer"
	"claudemesh/wire"
)

// peerFileJSON is a file that a peer has sent.
type peerFileJSON struct {
	Peer    string `json:"peer"`                // key of who sent it
	Path    string `json:"path"`                // as it was asked for
	Size    int    `json:"size"`                // in bytes
	Text    string `json:"text,omitempty"`      // the file, if it is UTF-8 and not saved
	Content []byte `json:"content,omitempty"`   // the file in base64, if it is not
	SavedTo string `json:"savedTo,omitempty"`   // where it was written to
	Here    string `json:"localPath,omitempty"` // the same file on this machine
}

// peerDirJSON is what a peer shares of a directory.
type peerDirJSON struct {
	Peer    string   `json:"peer"`                // key of who sent it
	Path    string   `json:"path"`                // as it was asked for
	Entries []string `json:"entries"`             // directories end with /
	More    bool     `json:"more"`                // there is more than was listed
	Here    string   `json:"localPath,omitempty"` // the same directory on this machine
}

func peerFileCommand() Command {
	return Command{
		Name: "peer-file", Theme: Share, Short: "Read and list the files that a peer shares",
		Long: `A peer is read while a session of it is connected, and only what its user has
shared with ` + "`claudemesh share-dir add`" + `.`,
		Sub: []Command{peerFileReadCommand(), peerFileListCommand()},
	}
}

func peerFileReadCommand() Command {
	var saveTo string
	return Command{
		Name:     "read",
		Args:     "<peer> <path>",
		Short:    "Print or save a file of a peer, up to 1 MiB",
		Examples: []string{"claudemesh peer-file read bob src/main.go", "claudemesh peer-file read bob logo.png --save-to logo.png"},
		Mesh:     true, JSON: true, Output: peerFileJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&saveTo, "save-to", "", "write it to this new `file`")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				to, err := onePeer(ctx, c, args[0])
				if err != nil {
					return err
				}
				content, err := c.PeerFile(ctx, to.Target.Name, args[1])
				if err != nil {
					return peerFileHint(err)
				}
				out := peerFileJSON{Peer: to.Target.Name, Path: args[1], Size: len(content), Here: c.FileHere(ctx, to.Target.Name, args[1], content)}
				if saveTo != "" {
					if out.SavedTo, err = saveNew(saveTo, content); err != nil {
						return err
					}
				}
				return printPeerFile(env, out, content)
			})
		},
	}
}

func printPeerFile(env *Env, out peerFileJSON, content []byte) error {
	text := utf8.Valid(content)
	switch {
	case env.JSON:
		switch {
		case out.SavedTo != "":
		case text:
			out.Text = string(content)
		default:
			out.Content = content
		}
		return env.Out().JSON(out)
	case out.SavedTo != "":
		env.Out().Printf("Saved %s to %s.\n", many(out.Size, "byte"), out.SavedTo)
	case text && env.Out().Terminal():
		env.Out().Text(string(content))
	case env.Out().Terminal():
		return WithHint(fmt.Errorf("%s is no text: %s", out.Path, many(out.Size, "byte")), "--save-to writes it to a file")
	default:
		env.Out().raw(string(content))
	}
	if out.Here != "" {
		env.Err().Printf("The same file is on this machine: %s\n", out.Here)
	}
	return nil
}

func peerFileListCommand() Command {
	var pattern string
	return Command{
		Name:  "list",
		Args:  "<peer> [directory]",
		Short: "List what a peer shares",
		Long: `Shows a directory and two levels below it, at most 500 names. A pattern picks by
name, as in *.go, or by path if it has a /, as in src/**/*.go.`,
		Examples: []string{"claudemesh peer-file list bob", "claudemesh peer-file list bob src --pattern '*.go'"},
		Mesh:     true, JSON: true, Output: peerDirJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&pattern, "pattern", "", "list only what fits this `glob`")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			dir := ""
			if len(args) > 1 {
				dir = args[1]
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				to, err := onePeer(ctx, c, args[0])
				if err != nil {
					return err
				}
				res, err := c.PeerFiles(ctx, to.Target.Name, dir, pattern)
				if err != nil {
					return peerFileHint(err)
				}
				out := peerDirJSON{to.Target.Name, dir, append([]string{}, res.Entries...), res.More, c.DirHere(ctx, to.Target.Name, dir, res.Entries)}
				if env.JSON {
					return env.Out().JSON(out)
				}
				for _, e := range out.Entries {
					env.Out().Printf("%s\n", e)
				}
				if out.More {
					env.Err().Printf("There is more: name a directory or a --pattern.\n")
				}
				if out.Here != "" {
					env.Err().Printf("The same directory is on this machine: %s\n", out.Here)
				}
				return nil
			})
		},
	}
}

// onePeer finds the one peer that a text means.
func onePeer(ctx context.Context, c *peer.Client, text string) (peer.Resolved, error) {
	to, err := c.Resolve(ctx, text)
	if err == nil && to.Target.Multicast() {
		err = Usagef("%q is not one peer: give a name or a key", text)
	}
	return to, err
}

// peerFileHint adds to a failure to get at a peer's files what can be done.
func peerFileHint(err error) error {
	switch {
	case errors.Is(err, &wire.Error{Code: wire.PeerNotFound}):
		return WithHint(err, "`claudemesh peers` shows who is connected")
	case errors.Is(err, peer.ErrPeerRefused) && strings.Contains(err.Error(), "sharing is disabled"):
		return WithHint(err, "its user shares a directory with `claudemesh share-dir add <directory>`")
	}
	return err
}

// saveNew writes data to a file that is not there yet, and returns its path.
func saveNew(path string, data []byte) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already: choose another name, or remove it", path)
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	return path, errors.Join(err, f.Close())
}
