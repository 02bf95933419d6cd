package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"

	"claudemesh/peer"
	"claudemesh/wire"
)

func auditCommand() Command {
	return Command{
		Name: "audit", Theme: Meshes, Short: "See what happened in a mesh, and that nobody altered it",
		Long: `The broker notes every significant event: who joined, sent a message, set a key,
shared a file. Names and hashes only, no contents. Each entry has the hash of the
one before it, so that none can be altered, taken out or added unnoticed.`,
		Sub: []Command{auditQueryCommand(), auditVerifyCommand(), auditExportCommand(), auditCheckpointCommand()},
	}
}

func auditQueryCommand() Command {
	var event string
	var limit, offset int
	return Command{
		Name: "query", Short: "List the newest entries",
		Examples: []string{"claudemesh audit query", "claudemesh audit query --event member_revoked --limit 500 --json"},
		Mesh:     true, JSON: true, Output: []wire.AuditEntry{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&event, "event", "", "only those of this `event`")
			fs.IntVar(&limit, "limit", 50, "show at most `n`")
			fs.IntVar(&offset, "offset", 0, "leave out the newest `n`")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			if limit < 1 || offset < 0 {
				return Usagef("--limit must be 1 or more, and --offset 0 or more")
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				return queryAudit(ctx, env, c, event, limit, offset)
			})
		},
	}
}

func queryAudit(ctx context.Context, env *Env, c *peer.Client, event string, limit, offset int) error {
	all, total := []wire.AuditEntry{}, 0
	for len(all) < limit {
		n := min(limit-len(all), wire.MaxAuditPage)
		page, err := peer.Call(ctx, c, wire.AuditQuery{Limit: &n, Offset: offset + len(all), EventType: event})
		if err != nil {
			return err
		}
		total = page.Total
		if len(page.Entries) == 0 {
			break
		}
		all = append(all, page.Entries...)
	}
	if env.JSON {
		return env.Out().JSON(all)
	}
	table := env.Out().Table("ID", "TIME", "EVENT", "BY", "WHAT")
	for _, e := range slices.Backward(all) {
		table.Row(e.ID, e.CreatedAt, Styled{Bold, e.EventType}, e.Actor, e.Payload.String())
	}
	table.Flush()
	if rest := total - offset - len(all); rest > 0 {
		env.Err().Printf("%d older entries: --offset %d shows more.\n", rest, offset+len(all))
	}
	return nil
}

// auditExportJSON is the first line of an export.
type auditExportJSON struct {
	Format string                `json:"format"` // claudemesh-audit-1
	MeshID string                `json:"meshId"`
	Slug   string                `json:"slug"`
	Base   *wire.AuditCheckpoint `json:"base,omitempty"` // the last of the entries that were pruned
}

// auditEndJSON is the last line of an export.
type auditEndJSON struct {
	Checkpoint *wire.AuditCheckpoint `json:"checkpoint"` // of the last entry
}

const auditFormat = "claudemesh-audit-1"

func auditExportCommand() Command {
	return Command{
		Name: "export", Short: "Print the whole log, a line of JSON for each entry",
		Long: `The first line says of which mesh it is, and the last has a checkpoint. What is
printed is verified on the way: the command fails if the log was altered. Keep
exports, and ` + "`claudemesh audit verify --file`" + ` verifies them without a broker.

A broker keeps the newest 200 000 entries unless it was told else.`,
		Examples: []string{"claudemesh audit export > audit.jsonl"},
		Mesh:     true, NoJSON: "it prints JSON always",
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error { return exportAudit(ctx, env, c) })
		},
	}
}

func exportAudit(ctx context.Context, env *Env, c *peer.Client) error {
	res, err := verified(ctx, c)
	if err != nil {
		return err
	}
	out := env.Out()
	chain := peer.AuditChain{MeshID: c.Mesh().MeshID, Against: res.Checkpoint}
	after, err := oldest(ctx, c)
	if err != nil {
		return err
	}
	begin := func(head *wire.AuditResult) error {
		if err := chain.Begin(head.Base); err != nil {
			return err
		}
		return out.JSONLine(auditExportJSON{auditFormat, chain.MeshID, c.Mesh().Slug, head.Base})
	}
	err = c.AuditLog(ctx, after, begin, func(e *wire.AuditEntry) error {
		if id, _ := chain.Place(); id == res.HeadID {
			return nil // it came after the checkpoint
		}
		if err := chain.Add(e); err != nil {
			return err
		}
		return out.JSONLine(e)
	})
	if err != nil {
		return broken(err)
	}
	if err := chain.End(res.HeadID, res.Head); err != nil {
		return broken(err)
	}
	return out.JSONLine(auditEndJSON{res.Checkpoint})
}

// verified has the broker verify its log.
func verified(ctx context.Context, c *peer.Client) (wire.AuditVerifyResult, error) {
	res, err := peer.Call(ctx, c, wire.AuditVerify{})
	if err == nil && !res.Valid {
		at := int64(0)
		if res.BrokenAt != nil {
			at = *res.BrokenAt
		}
		err = broken(fmt.Errorf("the broker finds that entry %d is wrong: %s", at, res.Reason))
	}
	return res, err
}

// oldest returns the entry before the first that the broker keeps.
func oldest(ctx context.Context, c *peer.Client) (int64, error) {
	one := 1
	head, err := peer.Call(ctx, c, wire.AuditQuery{Limit: &one})
	if err != nil || head.Base == nil {
		return 0, err
	}
	return head.Base.ID, nil
}

func broken(err error) error {
	return WithHint(fmt.Errorf("the audit log was altered: %w", err), "ask the operator of the broker; exports and checkpoints that were kept show since when")
}

func auditCheckpointCommand() Command {
	return Command{
		Name: "checkpoint", Short: "Print the broker's signature under the log as it is now",
		Long: `Keep it where the broker's operator cannot reach: ` + "`claudemesh audit verify --against`" + `
shows later whether the log was rewritten or cut off since.`,
		Examples: []string{"claudemesh audit checkpoint > checkpoint.json"},
		Mesh:     true, JSON: true, Output: wire.AuditCheckpoint{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := verified(ctx, c)
				if err != nil {
					return err
				}
				if err := peer.CheckCheckpoint(c.Mesh().MeshID, res.Checkpoint); err != nil {
					return broken(err)
				}
				return env.Out().JSON(res.Checkpoint)
			})
		},
	}
}
