package broker

import (
	"fmt"
	"strings"
	"testing"

	"claudemesh/wire"
)

func skill(name string, more ...any) map[string]any {
	f := map[string]any{"type": "share_skill", "name": name, "description": "about " + name, "instructions": "Do " + name + "."}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

// skills returns the names that list_skills has for a query.
func (p *testPeer) skills(query string) string {
	p.t.Helper()
	var names []string
	for _, s := range p.ask("skill_list", map[string]any{"type": "list_skills", "query": query})["skills"].([]any) {
		names = append(names, s.(map[string]any)["name"].(string))
	}
	return strings.Join(names, " ")
}

func (p *testPeer) skill(name string) map[string]any {
	p.t.Helper()
	s, _ := p.ask("skill_data", map[string]any{"type": "get_skill", "name": name})["skill"].(map[string]any)
	return s
}

func TestASkillIsSharedWithItsWholeManifest(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	a, o := alice.modern("a"), b.join("bob").old("o")
	manifest := map[string]any{"when_to_use": "before a release", "allowed_tools": []any{"Bash(git *)", "Read"}, "model": "opus", "context": "fork",
		"agent": "reviewer", "user_invocable": false, "argument_hint": "<version>", "description": "other words"}
	ack := a.ask("skill_ack", skill("release", "tags", []any{"git", "ship"}, "manifest", manifest))
	if ack["name"] != "release" || ack["action"] != "shared" {
		t.Errorf("ack %v", ack)
	}
	if e := o.event("skill_shared"); !equalJSON(e, map[string]any{"name": "release", "description": "about release", "author": "alice"}) {
		t.Errorf("event %v", e)
	}
	a.noEvent("skill_shared")
	s := o.skill("release")
	if s["instructions"] != "Do release." || s["author"] != "alice" || !equalJSON(s["manifest"], manifest) || !equalJSON(s["tags"], []any{"git", "ship"}) || s["authorPubkey"] != alice.pub() {
		t.Errorf("got %v", s)
	}
	entry := o.ask("skill_list", map[string]any{"type": "list_skills"})["skills"].([]any)[0].(map[string]any)
	if entry["instructions"] != nil || !equalJSON(entry["manifest"], manifest) || entry["createdAt"] != s["createdAt"] {
		t.Errorf("listed as %v", entry)
	}
	if info := o.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); !equalJSON(info["skills"], []any{"release"}) {
		t.Errorf("mesh_info has %v", info["skills"])
	}

	a.ask("skill_ack", skill("release", "description", "anew"))
	again := o.skill("release")
	if again["description"] != "anew" || again["manifest"] != nil || !equalJSON(again["tags"], []any{}) || again["createdAt"] != s["createdAt"] {
		t.Errorf("replaced by %v", again)
	}
	o.event("skill_shared")
	if ack := a.ask("skill_ack", map[string]any{"type": "remove_skill", "name": "release"}); ack["action"] != "removed" {
		t.Errorf("ack %v", ack)
	}
	if e := o.event("skill_removed"); !equalJSON(e, map[string]any{"name": "release", "by": "alice"}) {
		t.Errorf("event %v", e)
	}
	if ack := a.ask("skill_ack", map[string]any{"type": "remove_skill", "name": "release"}); ack["action"] != "not_found" {
		t.Errorf("ack %v", ack)
	}
	o.noEvent("skill_removed")
	if f := o.ask("skill_data", map[string]any{"type": "get_skill", "name": "release"}); f["skill"] != nil || len(f) != 3 {
		t.Errorf("got %v", f)
	}
}

func TestSkillsAreFoundByNameDescriptionAndTags(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("alice").modern("a")
	a.ask("skill_ack", skill("Zwölf", "description", "counts"))
	a.ask("skill_ack", skill("100%_done", "description", `back\slash`))
	a.ask("skill_ack", skill("review", "tags", []any{"Quality", "code"}))
	for query, want := range map[string]string{
		"": "100%_done Zwölf review", "ZWÖLF": "Zwölf", "%": "100%_done", "_": "100%_done", `\`: "100%_done", "quality": "review",
		"COUNTS": "Zwölf", "instr": "", "code review": "",
	} {
		if got := a.skills(query); got != want {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
}

func TestSkillsSurviveARestart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	alice.modern("a").ask("skill_ack", skill("kept", "manifest", map[string]any{"context": "fork"}))
	b.restart()
	if s := alice.modern("a").skill("kept"); s["instructions"] != "Do kept." || !equalJSON(s["manifest"], map[string]any{"context": "fork"}) {
		t.Errorf("got %v", s)
	}
}

func TestMoreSkillsThanAFrameHoldsComeByPages(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("alice").modern("a")
	long := strings.Repeat("<", wire.MaxSkillText)
	const shared = 200
	for i := range shared {
		a.ask("skill_ack", skill(fmt.Sprintf("s%03d", i), "description", long))
	}
	after, names, pages := "", 0, 0
	for more := true; more; pages++ {
		f := a.ask("skill_list", map[string]any{"type": "list_skills", "after": after})
		for _, s := range f["skills"].([]any) {
			if after = s.(map[string]any)["name"].(string); after != fmt.Sprintf("s%03d", names) {
				t.Fatalf("%s after %d others", after, names)
			}
			names++
		}
		more, _ = f["more"].(bool)
	}
	if names != shared || pages < 2 {
		t.Errorf("%d skills in %d pages", names, pages)
	}
}

func TestSkillsAreChecked(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("alice").modern("a")
	manifest := func(key string, value any) map[string]any {
		return skill("x", "manifest", map[string]any{key: value})
	}
	for name, c := range map[string]struct {
		frame map[string]any
		code  string
	}{
		"no name":                {skill(""), "bad_request"},
		"a long name":            {skill(strings.Repeat("x", wire.MaxSkillName+1)), "too_large"},
		"a line break in it":     {skill("x\ny"), "bad_request"},
		"no instructions":        {skill("x", "instructions", " \n"), "bad_request"},
		"long instructions":      {skill("x", "instructions", strings.Repeat("x", wire.MaxInstructionBytes+1)), "too_large"},
		"a long description":     {skill("x", "description", strings.Repeat("x", wire.MaxSkillText+1)), "too_large"},
		"a tag that is no text":  {skill("x", "tags", []any{1}), "bad_request"},
		"many tags":              {skill("x", "tags", make([]string, wire.MaxSkillTags+1)), "too_large"},
		"a context of its own":   {manifest("context", "fork\nmodel: x"), "bad_request"},
		"a long hint":            {manifest("argument_hint", strings.Repeat("x", wire.MaxSkillName+1)), "too_large"},
		"many tools":             {manifest("allowed_tools", make([]string, wire.MaxSkillTools+1)), "too_large"},
		"a manifest that is one": {skill("x", "manifest", "fork"), "bad_request"},
	} {
		if f := a.askAny(c.frame); f["type"] != "error" || f["code"] != c.code {
			t.Errorf("%s: %v, want %s", name, f, c.code)
		}
	}
	if got := a.skills(""); got != "" {
		t.Errorf("there is %s", got)
	}
	large := skill("x", "instructions", strings.Repeat("<", wire.MaxInstructionBytes))
	a.ask("skill_ack", large)
	if s := a.skill("x"); s["instructions"] != large["instructions"] {
		t.Error("the largest does not come back")
	}
}
