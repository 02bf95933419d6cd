package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	maxCheckpointFile = 16 << 10 // bytes
	maxAuditLine      = 1 << 20  // bytes
)

// auditVerifyJSON is what verify prints as JSON.
type auditVerifyJSON struct {
	Valid   bool                  `json:"valid"` // true: what is not valid is an error
	MeshID  string                `json:"meshId"`
	Entries int                   `json:"entries"`          // that were verified here: after that of Since, if there is one
	HeadID  int64                 `json:"headId"`           // id of the last of them
	Head    string                `json:"head"`             // its hash
	Signer  string                `json:"signer,omitempty"` // key of the broker that vouches for it
	Base    *wire.AuditCheckpoint `json:"base,omitempty"`   // the last of the entries that were pruned
	Since   int64                 `json:"since,omitempty"`  // id of the entry that the checkpoint vouches for, if only what came after it was verified here
	Kept    int                   `json:"kept,omitempty"`   // with Since: the broker verified so many, all that it keeps
}

func auditVerifyCommand() Command {
	var file, against string
	return Command{
		Name: "verify", Short: "Recompute the hashes of the log",
		Long: `The broker recomputes them, and so does this command, from the entries that the
broker hands out: from the first that is kept, or from the checkpoint that
--against names.

With --file no broker is asked: it may be an export, or a copy of the file
mesh.db of a mesh.`,
		Examples: []string{
			"claudemesh audit verify", "claudemesh audit verify --against checkpoint.json",
			"claudemesh audit verify --file audit.jsonl --against checkpoint.json", "claudemesh audit verify --file backup/mesh.db",
		},
		Mesh: true, JSON: true, Output: auditVerifyJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&file, "file", "", "verify this `file`")
			fs.StringVar(&against, "against", "", "compare with the checkpoint in this `file`")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			var kept *wire.AuditCheckpoint
			var err error
			if against != "" {
				if kept, err = readCheckpoint(against); err != nil {
					return err
				}
			}
			if file != "" {
				res, err := verifyFile(ctx, env, file, kept)
				return printVerified(env, res, kept, err)
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := verifyLive(ctx, c, kept)
				return printVerified(env, res, kept, err)
			})
		},
	}
}

func printVerified(env *Env, res *auditVerifyJSON, kept *wire.AuditCheckpoint, err error) error {
	if err != nil {
		return err
	}
	if res.Valid = true; env.JSON {
		return env.Out().JSON(res)
	}
	if res.Since > 0 {
		printSince(env, res, kept)
	} else {
		env.Out().Printf("The log is as it was written: %d entries verified, the last is %d with hash %s.\n", res.Entries, res.HeadID, res.Head)
	}
	if kept != nil && res.Since == 0 {
		env.Out().Printf("It has the entry that the checkpoint of %s vouches for, %d.\n", kept.CreatedAt, kept.ID)
	}
	if kept != nil && res.Signer != "" && res.Signer != kept.Signer {
		env.Err().Printf("The broker signs with another key now, %s; the checkpoint is signed by %s.\n", res.Signer, kept.Signer)
	}
	return nil
}

// printSince says what was verified after a checkpoint. What is before it is proven
// by its hash, and was verified by whoever kept it.
func printSince(env *Env, res *auditVerifyJSON, kept *wire.AuditCheckpoint) {
	out := env.Out()
	if res.Entries == 0 {
		out.Printf("The log is as it was written: it ends with entry %d, which the checkpoint of %s vouches for, and nothing was added since.\n", kept.ID, kept.CreatedAt)
	} else {
		out.Printf("The log is as it was written: it has entry %d, which the checkpoint of %s vouches for, and goes on from it; entries since then that were verified here: %d, the last is %d with hash %s.\n",
			kept.ID, kept.CreatedAt, res.Entries, res.HeadID, res.Head)
	}
	out.Printf("The broker verified all entries that it keeps: %d. `claudemesh audit verify` without --against verifies them here too.\n", res.Kept)
}

// verifyLive has the broker verify its log, and recomputes what it hands out.
func verifyLive(ctx context.Context, c *peer.Client, kept *wire.AuditCheckpoint) (*auditVerifyJSON, error) {
	chain := peer.AuditChain{MeshID: c.Mesh().MeshID}
	if kept != nil { // before the broker is asked: a file of another mesh is no fault of it
		if err := peer.CheckCheckpoint(chain.MeshID, kept); err != nil {
			return nil, fmt.Errorf("the checkpoint that was kept: %w", err)
		}
	}
	said, err := verified(ctx, c)
	if err != nil {
		return nil, err
	}
	after, err := oldest(ctx, c)
	if err != nil {
		return nil, err
	}
	fromKept := kept != nil && kept.ID >= after
	if fromKept {
		after = kept.ID
	}
	res := &auditVerifyJSON{MeshID: chain.MeshID}
	if fromKept {
		res.Since, res.Kept = kept.ID, said.Entries
	}
	begin := func(head *wire.AuditResult) error {
		switch res.Base = head.Base; {
		case fromKept:
			return chain.Resume(kept)
		default:
			chain.Against = kept
			return chain.Begin(head.Base)
		}
	}
	err = c.AuditLog(ctx, after, begin, func(e *wire.AuditEntry) error {
		if id, _ := chain.Place(); id >= said.HeadID {
			return nil // it came since
		}
		res.Entries++
		return chain.Add(e)
	})
	if err == nil {
		err = chain.End(said.HeadID, said.Head)
	}
	if err != nil {
		return nil, broken(err)
	}
	res.HeadID, res.Head = chain.Place()
	if said.Checkpoint != nil {
		res.Signer = said.Checkpoint.Signer
	}
	return res, nil
}

func readCheckpoint(name string) (*wire.AuditCheckpoint, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	defer f.Close()
	var c wire.AuditCheckpoint
	if err := json.NewDecoder(io.LimitReader(f, maxCheckpointFile)).Decode(&c); err != nil || c.ID < 1 || c.Signature == "" {
		return nil, WithHint(fmt.Errorf("%s is no checkpoint", name), "`claudemesh audit checkpoint` prints one")
	}
	return &c, nil
}

// verifyFile verifies an export, or a copy of a mesh.
func verifyFile(ctx context.Context, env *Env, name string, kept *wire.AuditCheckpoint) (*auditVerifyJSON, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if magic, _ := r.Peek(15); string(magic) == "SQLite format 3" {
		return verifyCopy(ctx, env, name, kept)
	}
	return verifyExport(r, name, kept)
}

// verifyCopy verifies the file of a mesh.
func verifyCopy(ctx context.Context, env *Env, name string, kept *wire.AuditCheckpoint) (*auditVerifyJSON, error) {
	if env.AuditFile == nil {
		return nil, errors.New("this program reads no files of meshes")
	}
	at := int64(0)
	if kept != nil {
		at = kept.ID
	}
	said, meshID, hash, err := env.AuditFile(ctx, name, at)
	switch {
	case err != nil:
		return nil, err
	case !said.Valid:
		return nil, broken(fmt.Errorf("entry %d: %s", *said.BrokenAt, said.Reason))
	case said.HeadID == 0: // making a mesh is an entry
		return nil, WithHint(fmt.Errorf("%s has no audit log, and every mesh has one", name),
			"copied while the broker runs, mesh.db lacks what is in mesh.db-wal: verify a backup, or `claudemesh audit export`")
	}
	res := &auditVerifyJSON{MeshID: meshID, Entries: said.Entries, HeadID: said.HeadID, Head: said.Head, Base: said.Base}
	if kept == nil {
		return res, nil
	}
	if err := peer.CheckCheckpoint(meshID, kept); err != nil {
		return nil, fmt.Errorf("the checkpoint that was kept: %w", err)
	}
	switch {
	case said.Base != nil && kept.ID < said.Base.ID:
		return nil, fmt.Errorf("the log begins after entry %d and the checkpoint is of entry %d: what it vouched for was pruned", said.Base.ID, kept.ID)
	case hash == "":
		return nil, broken(fmt.Errorf("the log ends at entry %d, and had entry %d when the checkpoint was made: it was cut off", said.HeadID, kept.ID))
	case hash != kept.Hash:
		return nil, broken(fmt.Errorf("entry %d: its hash is not the one in the checkpoint: the log was rewritten", kept.ID))
	}
	return res, nil
}

// An auditLine is any line of an export.
type auditLine struct {
	auditExportJSON
	auditEndJSON
	wire.AuditEntry
}

// verifyExport verifies an export by itself.
func verifyExport(r io.Reader, name string, kept *wire.AuditCheckpoint) (*auditVerifyJSON, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxAuditLine)
	var head auditExportJSON
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Format != auditFormat {
		return nil, WithHint(fmt.Errorf("%s is no export of an audit log, nor the file of a mesh", name), "`claudemesh audit export` writes one")
	}
	chain := peer.AuditChain{MeshID: head.MeshID, Against: kept}
	if err := chain.Begin(head.Base); err != nil {
		return nil, broken(err)
	}
	res := &auditVerifyJSON{MeshID: head.MeshID, Base: head.Base}
	var end *wire.AuditCheckpoint
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line auditLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, broken(fmt.Errorf("the line after entry %d cannot be read: %w", chainID(&chain), err))
		}
		if end = line.Checkpoint; end != nil {
			break
		}
		if err := chain.Add(&line.AuditEntry); err != nil {
			return nil, broken(err)
		}
		res.Entries++
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if end == nil {
		return nil, broken(fmt.Errorf("the export has no end after entry %d: it was cut off", chainID(&chain)))
	}
	if err := cmp.Or(peer.CheckCheckpoint(head.MeshID, end), chain.End(end.ID, end.Hash)); err != nil {
		return nil, broken(err)
	}
	res.HeadID, res.Head = chain.Place()
	res.Signer = end.Signer
	return res, nil
}

func chainID(c *peer.AuditChain) int64 {
	id, _ := c.Place()
	return id
}
