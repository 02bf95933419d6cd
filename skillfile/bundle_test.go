package skillfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claudemesh/wire"
)

// bundleOf opens a directory with files.
func bundleOf(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestABundleIsReadFromItsTwoFiles(t *testing.T) {
	const matter = "---\nname: m\ndescription: of the text\ntags: [m]\nmodel: opus\n---\n# Do it\n"
	model := &wire.SkillManifest{Model: "opus"}
	for _, c := range []struct {
		name, text, about string
		want              wire.ShareSkill
	}{
		{"the front matter alone", matter, "", wire.ShareSkill{Name: "m", Description: "of the text", Tags: []string{"m"}, Manifest: model, Instructions: "# Do it\n"}},
		{"skill.json before the front matter", matter, `{"name": "j", "description": "of the file", "tags": ["j"], "version": 2}`,
			wire.ShareSkill{Name: "j", Description: "of the file", Tags: []string{"j"}, Manifest: model, Instructions: "# Do it\n"}},
		{"what skill.json lacks", matter, `{"name": "j"}`, wire.ShareSkill{Name: "j", Description: "of the text", Tags: []string{"m"}, Manifest: model, Instructions: "# Do it\n"}},
		{"skill.json alone", "# Do it\n", `{"name": "j", "tags": ["j"]}`, wire.ShareSkill{Name: "j", Description: "Do it", Tags: []string{"j"}, Instructions: "# Do it\n"}},
	} {
		files := map[string]string{textFile: c.text, "z/a": "12", ".git/HEAD": "x", "deep/.git/HEAD": "xyz"}
		want := []wire.SkillFile{{Path: textFile, Size: int64(len(c.text))}, {Path: "deep/.git/HEAD", Size: 3}}
		if c.about != "" {
			files[aboutFile] = c.about
			want = append(want, wire.SkillFile{Path: aboutFile, Size: int64(len(c.about))})
		}
		s, list, err := ReadBundle(bundleOf(t, files))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(&c.want, s) + cmp.Diff(append(want, wire.SkillFile{Path: "z/a", Size: 2}), list); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestABundleThatIsNotOneIsRefused(t *testing.T) {
	many := map[string]string{textFile: "x"}
	for i := range wire.MaxSkillFiles + 1 {
		many["f/"+strings.Repeat("x", i%20+1)+string(rune('a'+i%26))+strings.Repeat("y", i/26)] = ""
	}
	for _, c := range []struct {
		files map[string]string
		wrong string
	}{
		{map[string]string{"README": "x"}, "no SKILL.md at its top"},
		{map[string]string{"a/SKILL.md": "x"}, "no SKILL.md at its top"},
		{map[string]string{textFile: "x"}, "has no name"},
		{map[string]string{textFile: "---\nname: x\n---\n"}, "no instructions"},
		{map[string]string{textFile: "x", aboutFile: `{"tags": "x"}`}, "skill.json cannot be read"},
		{map[string]string{textFile: "x", aboutFile: strings.Repeat(" ", maxAbout+1)}, "larger than 64 KiB"},
		{map[string]string{textFile: strings.Repeat("x", maxBytes+1)}, "larger than"},
		{map[string]string{textFile: "x", "a\nb": "x"}, "control characters"},
		{many, "more than 1000 files"},
	} {
		_, _, err := ReadBundle(bundleOf(t, c.files))
		if err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%v, and the error is to say %q", err, c.wrong)
		}
	}
}

func TestLinksInABundleAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("---\nname: x\n---\nsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{textFile, aboutFile, "other"} {
		root := bundleOf(t, map[string]string{"file": "x"})
		if name != textFile {
			root = bundleOf(t, map[string]string{textFile: "---\nname: x\n---\nx"})
		}
		if err := os.Symlink(outside, filepath.Join(root.Name(), name)); err != nil {
			t.Skip("this machine makes no links: ", err)
		}
		if s, _, err := ReadBundle(root); err == nil || !strings.Contains(err.Error(), "a link") {
			t.Errorf("%s as a link: %v, %v", name, s, err)
		}
	}
}
