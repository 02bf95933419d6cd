package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claudemesh/broker/runner/confine"
)

func TestASkillIsFetchedByGitInACell(t *testing.T) {
	h := newGitHost(t) // sets the environment, so this test is not parallel
	h.token = "ghp_0123456789abcdefghij"
	commit := h.commit(t, map[string]string{"SKILL.md": "---\nname: review\n---\nLook.", "more.md": "x"})
	for _, c := range []struct{ allow, wrong string }{{"127.0.0.2", ""}, {"127.0.0.1", "may not reach"}} {
		b := newBroker(t, func(cfg *Config) { cfg.ServiceAllow = c.allow })
		if err := b.srv.services().confiner.Check(confine.Limits{Network: []string{"example.com"}}); err != nil {
			t.Skip("git cannot be confined here: ", err)
		}
		a := b.join("alice").modern("a")
		f := a.slowly(a.asked(map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "git", "url": h.URL + "/tool.git", "auth": h.token}}))
		switch {
		case c.wrong == "" && (f["name"] != "review" || f["commit"] != commit || !equalJSON(f["files"], []any{"SKILL.md", "more.md"})):
			t.Errorf("answered with %v, at commit %s", f, commit)
		case c.wrong != "" && (f["code"] != "deploy_error" || !strings.Contains(f["message"].(string), c.wrong)):
			t.Errorf("with --service-allow %s it is answered with %v", c.allow, f)
		}
		if left := b.bundlesLeft(); len(left) != 0 {
			t.Errorf("left on the disk: %q", left)
		}
		b.stop()
		if holdsText(t, b.cfg.Data, h.token) {
			t.Error("the token is kept")
		}
	}
}

// holdsText reports whether a file below dir has a text in it.
func holdsText(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		p, err := os.ReadFile(path)
		found = found || strings.Contains(string(p), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
