package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/skillfile"
	"claudemesh/store"
	"claudemesh/wire"
)

// A bundleFetcher fetches what a job names. dir is that of its cell, in which
// the directory of the job is.
type bundleFetcher func(ctx context.Context, dir string, job source.Job) (source.Fetched, error)

// maxBundles bounds the bundles of a mesh that are fetched at a time, each of
// which may take half a gigabyte of the disk meanwhile.
const maxBundles = 4

// bundles are the deployments of skills under way, one of a member at most.
type bundles struct {
	mu     sync.Mutex
	ends   map[string]context.CancelFunc // by member
	closed bool
}

// begin returns the context of a member's deployment, which ends with the
// bundles, and what is called at its end.
func (b *bundles) begin(memberID string) (context.Context, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, nil, errServicesClosed
	case b.ends[memberID] != nil:
		return nil, nil, wire.Errorf(wire.Limit, "a skill that you deploy is still being fetched: wait for it")
	case len(b.ends) >= maxBundles:
		return nil, nil, wire.Errorf(wire.Limit, "the broker fetches %d skills of this mesh already: try again in a moment", maxBundles)
	}
	late := fmt.Errorf("it was not fetched within %v", wire.SkillDeployDeadline)
	ctx, cancel := context.WithTimeoutCause(context.Background(), wire.SkillDeployDeadline, late)
	if b.ends == nil {
		b.ends = make(map[string]context.CancelFunc)
	}
	b.ends[memberID] = cancel
	return ctx, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.ends, memberID)
	}, nil
}

func (b *bundles) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, end := range b.ends {
		end()
	}
}

// bundlesDir is where bundles are while they are looked at.
func (m *mesh) bundlesDir() string { return filepath.Join(m.srv.cfg.Data, "meshes", m.id, "bundles") }

// skillDeploy publishes the skill of a bundle. It answers when that is fetched
// and the skill on disk.
func (m *mesh) skillDeploy(c *call, req wire.SkillDeploy) error {
	if err := c.session.mayWrite(); err != nil {
		return err
	}
	src, err := m.bundleSource(c.session, &req.Source)
	if err != nil {
		return err
	}
	ctx, end, err := m.bundles.begin(c.session.member.id)
	if err != nil {
		return err
	}
	if m.tryBackground(func() {
		var answer wire.Frame
		answer, err := m.deploySkill(ctx, c, src)
		if err != nil {
			answer = c.srv.report(c.head, err)
		}
		end() // who is answered may deploy the next
		c.reply(c.head.ReqID, answer)
	}) {
		return nil
	}
	end()
	return errServicesClosed
}

// bundleSource checks a source that the session names.
func (m *mesh) bundleSource(s *session, req *wire.ServiceSource) (src source.Source, err error) {
	switch req.Kind {
	case wire.SourceZip:
		src = source.Source{Type: source.Zip, Open: m.opensArchive(req.FileID)}
		return src, m.checkArchive(s, req.FileID)
	case wire.SourceGit:
		if err := m.mayRun(s); err != nil {
			return src, err
		}
		src = source.Source{Type: source.Git, URL: req.URL, Branch: req.Branch, Auth: req.Auth}
	default:
		return src, wire.Errorf(wire.BadRequest, "a skill is deployed from zip or git, and not from %q", wire.Shorten(string(req.Kind), 20))
	}
	if err := source.New(source.Options{}).Check(src, ""); err != nil {
		return src, wire.Errorf(wire.BadRequest, "%s", err)
	}
	return src, nil
}

// deploySkill fetches a bundle, reads the skill and publishes it. Nothing of the
// bundle stays but what the row has.
func (m *mesh) deploySkill(ctx context.Context, c *call, src source.Source) (ack wire.SkillDeployAck, err error) {
	dir := filepath.Join(m.bundlesDir(), store.NewID())
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return ack, err
	}
	defer func() { m.logFailed("remove a bundle", os.RemoveAll(dir)) }()
	got, err := m.fetchBundle(ctx, dir, source.Job{Source: src, Dir: filepath.Join(dir, "build"), Log: io.Discard})
	if err != nil {
		return ack, wire.Errorf(wire.DeployError, "the bundle cannot be fetched: %s", wire.Shorten(clean(err.Error(), wire.MaxCallError), wire.MaxCallError))
	}
	skill, files, err := readBundle(got.Dir)
	if err != nil {
		return ack, err
	}
	row := skillRow(c.session, skill)
	row.SourceType, row.Revision = string(src.Type), got.Commit
	if row.Files, err = json.Marshal(files); err != nil {
		return ack, err
	}
	trail := audited{"skill": row.Name, "instructionsSha256": sumOf([]byte(row.Instructions)), "sourceType": row.SourceType, "files": len(files)}
	if got.Commit != "" {
		trail["commit"] = got.Commit
	}
	ack = wire.SkillDeployAck{Name: row.Name, Commit: row.Revision}
	for _, f := range files {
		ack.Files = append(ack.Files, f.Path)
	}
	return ack, m.publishSkill(c, row, trail)
}

func readBundle(dir string) (*wire.ShareSkill, []wire.SkillFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	skill, files, err := skillfile.ReadBundle(root)
	if err != nil {
		return nil, nil, wire.Errorf(wire.BadRequest, "%s", wire.Shorten(clean(err.Error(), wire.MaxCallError), wire.MaxCallError))
	}
	return skill, files, checkSkill(skill)
}

// fetchBundle fetches a bundle. What needs a program waits for its turn.
func (m *mesh) fetchBundle(ctx context.Context, dir string, job source.Job) (source.Fetched, error) {
	switch {
	case job.Source.Type == source.Zip:
		return source.New(source.Options{}).Fetch(ctx, job)
	case m.srv.cfg.fetch != nil:
		return m.srv.cfg.fetch(ctx, dir, job)
	}
	with := m.srv.services()
	select {
	case with.builds <- struct{}{}:
		defer func() { <-with.builds }()
	case <-ctx.Done():
		return source.Fetched{}, context.Cause(ctx)
	}
	job.Run = func(ctx context.Context, work string, args, env, network []string, log io.Writer) error {
		return runIn(ctx, with.confiner, log, confine.Cell{
			Dir: dir, Write: []string{job.Dir}, Read: with.builder.Trusted(), Work: work, Args: args, Env: env,
			Limits: confine.Limits{MemoryMB: 512, Network: network},
		})
	}
	return with.builder.Fetch(ctx, job)
}

// runIn runs a program in a cell to its end.
func runIn(ctx context.Context, confiner *confine.Confiner, log io.Writer, cell confine.Cell) error {
	p, err := confiner.Command(ctx, cell)
	if err != nil {
		return err
	}
	p.Stdout, p.Stderr, p.WaitDelay = log, log, time.Second
	err = p.Run()
	return errors.Join(p.Close(), err)
}
