package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"claudemesh/peer"
	"claudemesh/wire"
)

// sharedFileJSON is a file that was shared.
type sharedFileJSON struct {
	ID        string           `json:"id"` // for file get
	Name      string           `json:"name"`
	Size      int64            `json:"size"`              // bytes
	Encrypted bool             `json:"encrypted"`         // nobody but the readers can open it, not even the broker
	Readers   []fileReaderJSON `json:"readers,omitempty"` // absent if everyone may fetch it
}

// fileReaderJSON is who may fetch a file.
type fileReaderJSON struct {
	Name   string `json:"name,omitempty"`
	Target string `json:"target"` // key, or @group
}

func fileCommand() Command {
	return Command{
		Name: "file", Theme: Share, Short: "Share files of any size through the broker, and fetch them",
		Long: `A shared file is kept by the broker, so that whoever it is for can fetch it while
you are away. To show others files as they are on your disk, see share-dir.

A <file> is an id, its first 4 characters or more, or the file's name.`,
		Sub: []Command{fileShareCommand(), fileGetCommand(), fileListCommand(), fileStatusCommand(), fileRmCommand(), fileGrantCommand()},
	}
}

func fileShareCommand() Command {
	var to, tags repeated
	var share peer.FileShare
	return Command{
		Name:  "share",
		Args:  "<path>",
		Short: "Share a file with everyone, a group or some peers",
		Long: `With --to and names or keys the file is encrypted for these peers, and the broker
cannot read it. With --to @group whoever is in the group may fetch it, and without
--to every member; then it is not encrypted.

The command ends when the broker has the file on disk.`,
		Examples: []string{
			"claudemesh file share report.pdf",
			"claudemesh file share build.tar.gz --to bob --to carol",
			"claudemesh file share trace.json --to @backend --tag incident-42 --ephemeral",
		},
		Mesh: true, JSON: true, Output: sharedFileJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.Var(&to, "to", "share it with `recipient` only: a name, a key or @group; may be repeated")
			fs.StringVar(&share.Name, "name", "", "call it `name`")
			fs.Var(&tags, "tag", "label it with `text`, which file list finds; may be repeated")
			fs.BoolVar(&share.Ephemeral, "ephemeral", false, "let it expire after a day")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			share.Tags = tags
			for _, list := range to {
				share.To = append(share.To, slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return strings.TrimSpace(s) == "" })...)
			}
			return shareFile(ctx, env, args[0], share)
		},
	}
}

func shareFile(ctx context.Context, env *Env, path string, share peer.FileShare) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for its other end
		return WithHint(fmt.Errorf("%s is not a regular file", path), "to share a directory, pack it first, as with `tar -czf`")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		bar, done := env.transfer("sharing " + info.Name())
		defer done()
		share.Progress = bar.moved
		shared, err := c.ShareFile(ctx, f, share)
		done()
		if err != nil {
			return fileHint(err)
		}
		out := sharedFileJSON{ID: shared.ID, Name: shared.Name, Size: shared.Size, Encrypted: shared.Encrypted}
		for _, r := range shared.Readers {
			out.Readers = append(out.Readers, fileReaderJSON{r.Name, r.Target.String()})
		}
		if env.JSON {
			return env.Out().JSON(out)
		}
		env.Out().Printf("Shared %s with %s as %s.\n", out.Name, readerNames(out.Readers), out.ID)
		switch {
		case shared.OldForm:
			env.Err().Printf("It is encrypted in the form that an older client among its readers can open.\n")
		case len(out.Readers) > 0 && !out.Encrypted:
			env.Err().Printf("It is not encrypted: the broker's operator can read it.\n")
		}
		return nil
	})
}

func readerNames(readers []fileReaderJSON) string {
	if len(readers) == 0 {
		return "everyone"
	}
	var names []string
	for _, r := range readers {
		name := r.Name
		if name == "" {
			name = r.Target
		}
		if len(name) == 64 {
			name = shortKey(name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// fileHint adds to a refusal what can be done.
func fileHint(err error) error {
	refusal, ok := errors.AsType[*wire.Error](err)
	switch {
	case !ok:
		return err
	case refusal.Code == wire.Forbidden:
		return WithHint(errors.New(refusal.Message), "`claudemesh file list` shows the files that are for you")
	case refusal.Code == wire.NotFound:
		return WithHint(err, "`claudemesh file list` shows what there is")
	}
	return err
}

// fileIDLen is how many letters and digits the id of a file has.
const fileIDLen = 32

// fileID returns the id of the file that a text means.
func fileID(ctx context.Context, c *peer.Client, text string) (string, error) {
	if len(text) == fileIDLen && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return text, nil
	}
	var all []nameable
	// Only the newest are listed: by its name an older one is found too.
	for _, query := range []string{text, ""} {
		list, err := peer.Call(ctx, c, wire.ListFiles{Query: query})
		if err != nil {
			return "", err
		}
		for _, f := range list.Files {
			if !slices.ContainsFunc(all, func(n nameable) bool { return n.ids[0] == f.ID }) {
				all = append(all, nameable{f.Name, []string{f.ID}})
			}
		}
	}
	i, err := find(all, text, "file")
	if err != nil {
		return "", WithHint(err, "`claudemesh file list` shows what there is for you")
	}
	return all[i].ids[0], nil
}
