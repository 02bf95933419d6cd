package skillfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestASkillIsReadFromItsFrontMatter(t *testing.T) {
	no := false
	for _, c := range []struct {
		name, text string
		want       wire.ShareSkill
	}{
		{"no front matter", "# Do it\n", wire.ShareSkill{Instructions: "# Do it\n"}},
		{"an empty one", "---\n---\nDo it", wire.ShareSkill{Instructions: "Do it"}},
		{"line breaks of Windows, and a mark of order", "\ufeff---\r\nname: x\r\n---\r\nDo it\r\n", wire.ShareSkill{Name: "x", Instructions: "Do it\n"}},
		{"tools as one text", "---\nallowed-tools: Bash(git log, git diff) Read,Edit\n---\nx",
			wire.ShareSkill{Instructions: "x", Manifest: &wire.SkillManifest{AllowedTools: []string{"Bash(git log, git diff)", "Read", "Edit"}}}},
		{"a hint that looks like a list", "---\nargument-hint: [file] \n---\nx", wire.ShareSkill{Instructions: "x", Manifest: &wire.SkillManifest{ArgumentHint: "[file]"}}},
		{"what is usual is left out", "---\nuser-invocable: true\nmodel:\ntags:\n---\nx", wire.ShareSkill{Instructions: "x"}},
		{"the other spellings", "---\nwhen-to-use: w\nallowed_tools: [a]\nuser_invocable: false\nargument_hint: 5\n---\nx",
			wire.ShareSkill{Instructions: "x", Manifest: &wire.SkillManifest{WhenToUse: "w", AllowedTools: []string{"a"}, UserInvocable: &no, ArgumentHint: "5"}}},
		{"a line of dashes in the text", "---\nname: n\n---\na\n---\nb", wire.ShareSkill{Name: "n", Instructions: "a\n---\nb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, text := range map[string]string{
		"no end": "---\nname: x\n", "no YAML": "---\na: [\n---\nx", "no text": "---\nname: x\n---\n \n", "a context of its own": "---\ncontext: spoon\n---\nx",
		"a name that is an object": "---\nname: {a: b}\n---\nx", "tools that are one": "---\nallowed-tools: {a: b}\n---\nx",
		"aliases that grow": "---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\ntags: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n---\nx",
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%s is read as %+v", name, got)
		}
	}
}

func TestASkillWithoutANameHasThatOfItsDirectoryOrFile(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{"review/SKILL.md": "review", "b/skill.md": "b", "c/hello.md": "hello"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("\n## Say it\nloud"), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := Read(file); err != nil || s.Name != want || s.Description != "Say it" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := Read(filepath.Join(dir, "review")); err != nil || s.Name != "review" {
		t.Errorf("%+v, %v", s, err)
	}
	t.Chdir(filepath.Join(dir, "review"))
	if s, err := Read("."); err != nil || s.Name != "review" {
		t.Errorf("%+v, %v", s, err)
	}
	large := filepath.Join(dir, "large.md")
	if err := os.WriteFile(large, make([]byte, maxBytes+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{large, dir, filepath.Join(dir, "none")} {
		if s, err := Read(name); err == nil {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
}

// What a skill says comes back from the file that is made of it, whatever it
// is: nothing in it can end its line, or the front matter.
func FuzzSkillFile(f *testing.F) {
	f.Add("name", "a \"quoted\"\ndescription: x\n---\nmodel: evil", "Bash(*)", "# Do\n---\n", true)
	f.Add("---", "\u2028\u0085\x00\x1b[2J", "tool, with a comma", "x", false)
	f.Add("&a", "*a", "!!binary", "---", true)
	f.Fuzz(func(t *testing.T, name, description, tool, text string, invocable bool) {
		for _, s := range []string{name, description, tool, text} {
			if !utf8.ValidString(s) {
				t.Skip("it does not come from the wire")
			}
		}
		clean := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
					return -1
				}
				return r
			}, s)
		}
		s := &wire.Skill{Name: name, Description: description, Instructions: text, Tags: []string{name, tool},
			Manifest: &wire.SkillManifest{AllowedTools: []string{tool}, ArgumentHint: description, Model: name, UserInvocable: &invocable}}
		got, err := Parse(peer.SkillFile(s))
		if err != nil {
			if strings.TrimSpace(text) == "" {
				return
			}
			t.Fatalf("%v\n%s", err, peer.SkillFile(s))
		}
		if got.Name != clean(name) || got.Description != clean(description) || got.Tags[1] != clean(tool) {
			t.Errorf("%+v", got)
		}
		if m := got.Manifest; m != nil && (m.ArgumentHint != clean(description) || m.Model != clean(name) || (m.UserInvocable == nil) != invocable || m.Agent != "" || m.Context != "") {
			t.Errorf("%+v", m)
		}
		if want := strings.TrimLeft(strings.ReplaceAll(text, "\r\n", "\n"), "\n"); got.Instructions != want {
			t.Errorf("text %q became %q", want, got.Instructions)
		}
	})
}
