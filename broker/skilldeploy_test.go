package broker

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

// packed makes an archive of files.
func packed(files map[string]string) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(w.Create(name)).Write([]byte(files[name]))
	}
	w.Close()
	return buf.String()
}

// bundle returns the deployment of an archive that p shares.
func (p *testPeer) bundle(files map[string]string) map[string]any {
	p.t.Helper()
	id := p.upload("bundle.zip", packed(files), map[string]string{wire.HeaderTarget: "*"}).id()
	return map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "zip", "file_id": id}}
}

// fromGit returns the deployment of a repository.
func fromGit(url string) map[string]any {
	return map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "git", "url": url, "auth": "s3cret"}}
}

// repositories has a broker under test fetch directories that its test fills.
func repositories(commit string, files map[string]string) func(*Config) {
	return func(c *Config) {
		c.fetch = func(_ context.Context, _ string, job source.Job) (source.Fetched, error) {
			for name, text := range files {
				name = filepath.Join(job.Dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
					return source.Fetched{}, err
				}
			}
			if files == nil {
				return source.Fetched{}, errors.New("no such repository\x1b")
			}
			return source.Fetched{Dir: job.Dir, Commit: commit}, nil
		}
	}
}

// bundlesLeft lists what is left of bundles on the disk.
func (b *testBroker) bundlesLeft() []string {
	b.t.Helper()
	left, err := filepath.Glob(filepath.Join(b.cfg.Data, "meshes", "*", "bundles", "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return left
}

func TestASkillIsDeployedWithTheListOfItsFiles(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	a, o := alice.modern("a"), b.join("bob").old("o")
	ack := a.ask("skill_deploy_ack", a.bundle(map[string]string{
		"SKILL.md":        "---\nname: other\ndescription: of the text\ntags: [a]\nwhen_to_use: often\nallowed-tools: Read\n---\nDo it.\n",
		"skill.json":      `{"name": "review", "tags": ["b", "c"]}`,
		"scripts/run.sh":  "echo",
		"reference/a.txt": "12345",
	}))
	want := []any{"SKILL.md", "reference/a.txt", "scripts/run.sh", "skill.json"}
	if ack["name"] != "review" || !equalJSON(ack["files"], want) || ack["commit"] != nil {
		t.Errorf("answered with %v", ack)
	}
	if e := o.event("skill_shared"); !equalJSON(e, map[string]any{"name": "review", "description": "of the text", "author": "alice"}) {
		t.Errorf("event %v", e)
	}
	s := o.skill("review")
	files := []any{
		map[string]any{"path": "SKILL.md", "size": 101}, map[string]any{"path": "reference/a.txt", "size": 5},
		map[string]any{"path": "scripts/run.sh", "size": 4}, map[string]any{"path": "skill.json", "size": 38},
	}
	if s["instructions"] != "Do it.\n" || s["sourceType"] != "zip" || !equalJSON(s["files"], files) || !equalJSON(s["tags"], []any{"b", "c"}) ||
		!equalJSON(s["manifest"], map[string]any{"when_to_use": "often", "allowed_tools": []any{"Read"}}) {
		t.Errorf("got %v", s)
	}
	if left := b.bundlesLeft(); len(left) != 0 {
		t.Errorf("left on the disk: %q", left)
	}
	a.ask("skill_ack", skill("review"))
	if s := o.skill("review"); s["files"] != nil || s["sourceType"] != nil {
		t.Errorf("shared as a text it is %v", s)
	}
}

func TestASkillOfARepositoryHasItsCommit(t *testing.T) {
	t.Parallel()
	b := newBroker(t, repositories("c0ffee", map[string]string{"SKILL.md": "---\nname: review\n---\n# Look\n", ".git/config": "x", ".github/x": "y"}))
	a := b.join("alice").modern("a")
	ack := a.ask("skill_deploy_ack", fromGit("https://git.example.com/skills/review"))
	if ack["name"] != "review" || ack["commit"] != "c0ffee" || !equalJSON(ack["files"], []any{".github/x", "SKILL.md"}) {
		t.Errorf("answered with %v", ack)
	}
	if s := a.skill("review"); s["commit"] != "c0ffee" || s["sourceType"] != "git" || s["description"] != "Look" {
		t.Errorf("got %v", s)
	}
	entries, found := a.audited(), false
	for _, e := range entries {
		if e["eventType"] != "skill_shared" {
			continue
		}
		found = true
		if p := e["payload"].(map[string]any); p["commit"] != "c0ffee" || p["sourceType"] != "git" || p["files"] != 2.0 {
			t.Errorf("the audit log has %v", e)
		}
	}
	if !found {
		t.Errorf("the audit log has %v", entries)
	}
}

func TestABundleThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t, repositories("", nil))
	a := b.join("alice").modern("a")
	other := b.join("bob").modern("o")
	notMine := other.upload("bundle.zip", packed(map[string]string{"SKILL.md": "x"}), map[string]string{wire.HeaderTarget: "@nobody-else"}).id()
	zipped := func(id string) map[string]any {
		return map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "zip", "file_id": id}}
	}
	crowd := func(n int) map[string]string {
		files := map[string]string{"SKILL.md": "---\nname: x\n---\nx"}
		for i := range n {
			files[fmt.Sprintf("f/%d", i)] = ""
		}
		return files
	}
	for _, c := range []struct {
		name       string
		frame      map[string]any
		code, text string
	}{
		{"of many files", a.bundle(crowd(wire.MaxSkillFiles)), "bad_request", "more than 1000 files"},
		{"of very many files", a.bundle(crowd(10_000)), "deploy_error", "more than 10000 entries"},
		{"without SKILL.md", a.bundle(map[string]string{"README": "x"}), "bad_request", "no SKILL.md"},
		{"without a name", a.bundle(map[string]string{"SKILL.md": "Do it."}), "bad_request", "no name"},
		{"with a SKILL.md that is none", a.bundle(map[string]string{"SKILL.md": "---\na: [\n---\nx"}), "bad_request", "SKILL.md: its front matter"},
		{"with a skill.json that is none", a.bundle(map[string]string{"SKILL.md": "x", "skill.json": "{"}), "bad_request", "skill.json cannot be read"},
		{"with a name that is none", a.bundle(map[string]string{"SKILL.md": "x", "skill.json": `{"name": "a\nb"}`}), "bad_request", "name"},
		{"with a context that is none", a.bundle(map[string]string{"SKILL.md": "---\nname: x\ncontext: spoon\n---\nx"}), "bad_request", "spoon"},
		{"of a path upwards", a.bundle(map[string]string{"../../SKILL.md": "x"}), "deploy_error", "below its top"},
		{"of no zip", zipped(a.upload("a.zip", "no zip", map[string]string{wire.HeaderTarget: "*"}).id()), "deploy_error", "cannot be read"},
		{"of no file", zipped("none"), "not_found", "no file"},
		{"of a file of others", zipped(notMine), "not_found", "no file"},
		{"of npm", map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "npx", "package": "x"}}, "bad_request", "from zip or git"},
		{"of nothing", map[string]any{"type": "skill_deploy"}, "bad_request", "from zip or git"},
		{"of another protocol", fromGit("ssh://git@example.com/x"), "bad_request", "https"},
		{"of a repository there is not", fromGit("https://example.com/x"), "deploy_error", "no such repository"},
	} {
		f := a.askAny(c.frame)
		if f["type"] != "error" || f["code"] != c.code || !strings.Contains(f["message"].(string), c.text) || strings.ContainsAny(f["message"].(string), "\x1b") {
			t.Errorf("%s: %v", c.name, f)
		}
	}
	if got := a.skills(""); got != "" {
		t.Errorf("there are the skills %q", got)
	}
	if left := b.bundlesLeft(); len(left) != 0 {
		t.Errorf("left on the disk: %q", left)
	}
}

func TestGitIsRunForThoseWhoMayHaveServices(t *testing.T) {
	t.Parallel()
	b := newBroker(t, repositories("c0ffee", map[string]string{"SKILL.md": "---\nname: x\n---\nx"}), func(c *Config) { c.Services = servicesAdmins })
	if f := b.join("alice").modern("a").askAny(fromGit("https://example.com/x")); f["code"] != "forbidden" {
		t.Errorf("a member gets %v", f)
	}
	b.joinAs("root", "admin").modern("r").ask("skill_deploy_ack", fromGit("https://example.com/x"))
}

func TestAMemberDeploysOneSkillAtATime(t *testing.T) {
	t.Parallel()
	begun, go_ := make(chan struct{}), make(chan struct{})
	b := newBroker(t, func(c *Config) {
		c.fetch = func(ctx context.Context, _ string, job source.Job) (source.Fetched, error) {
			close(begun)
			select {
			case <-go_:
			case <-ctx.Done():
			}
			return source.Fetched{}, errors.New("ended")
		}
	})
	alice := b.join("alice")
	a, again := alice.modern("a"), alice.modern("again")
	id := a.asked(fromGit("https://example.com/x"))
	<-begun
	if f := again.askAny(fromGit("https://example.com/x")); f["code"] != "limit" {
		t.Errorf("another gets %v", f)
	}
	again.ask("skill_list", map[string]any{"type": "list_skills"}) // the rest goes on
	close(go_)
	if f := a.told(id); f["code"] != "deploy_error" {
		t.Errorf("the first gets %v", f)
	}
	again.ask("skill_deploy_ack", again.bundle(map[string]string{"SKILL.md": "---\nname: x\n---\nx"}))
}

func TestFewBundlesOfAMeshAreFetchedAtATime(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	b := newBroker(t, func(c *Config) {
		c.fetch = func(ctx context.Context, _ string, job source.Job) (source.Fetched, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return source.Fetched{}, ctx.Err()
		}
	})
	for i := range maxBundles {
		b.join(fmt.Sprint("m", i)).modern("s").asked(fromGit("https://example.com/x"))
		<-begun
	}
	if f := b.join("late").modern("l").askAny(fromGit("https://example.com/x")); f["code"] != "limit" {
		t.Errorf("one more gets %v", f)
	}
}

func TestABundleThatIsFetchedEndsWithTheBroker(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	b := newBroker(t, func(c *Config) {
		c.fetch = func(ctx context.Context, _ string, job source.Job) (source.Fetched, error) {
			close(begun)
			<-ctx.Done()
			return source.Fetched{}, ctx.Err()
		}
	})
	a := b.join("alice").modern("a")
	a.asked(fromGit("https://example.com/x"))
	<-begun
	b.stop() // waits for what runs
	if left := b.bundlesLeft(); len(left) != 0 {
		t.Errorf("left on the disk: %q", left)
	}
}
