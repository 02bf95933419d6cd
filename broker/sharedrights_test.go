package broker

import (
	"strings"
	"testing"
)

// Who may do what with streams and skills: the rows of the table in
// docs/SECURITY.md.
func TestWhoMayDoWhatWithStreamsAndSkills(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	author := b.join("author")
	made := author.modern("made")
	peers := map[string]*testPeer{
		"admin": b.joinAs("admin", "admin").modern("a"), "author": author.modern("again"), "author's command": author.command(false),
		"member": b.join("member").modern("m"), "member of an old client": b.join("old").old("o"), "member's command": b.join("other").command(false),
	}
	const all, owning = "admin,author,author's command,member,member of an old client,member's command", "admin,author,author's command"
	for _, c := range []struct {
		name, answer string
		frame        map[string]any
		may          string
	}{
		{"list streams", "stream_list", map[string]any{"type": "list_streams"}, all},
		{"subscribe", "subscribed", subscribeTo("s", 0), all},
		{"unsubscribe", "ack", map[string]any{"type": "unsubscribe", "stream": "s"}, all},
		{"publish", "ack", map[string]any{"type": "publish", "stream": "s", "data": 1}, all},
		{"create a stream", "stream_created", map[string]any{"type": "create_stream", "name": "s"}, all},
		{"delete a stream", "ack", map[string]any{"type": "delete_stream", "name": "s"}, owning},
		{"list skills", "skill_list", map[string]any{"type": "list_skills"}, all},
		{"get a skill", "skill_data", map[string]any{"type": "get_skill", "name": "s"}, all},
		{"share a new skill", "skill_ack", skill("t"), all},
		{"replace a skill", "skill_ack", skill("s"), owning},
		{"deploy a new skill", "skill_deploy_ack", made.bundle(map[string]string{"SKILL.md": "---\nname: t\n---\nx"}), all},
		{"deploy in the place of a skill", "skill_deploy_ack", made.bundle(map[string]string{"SKILL.md": "---\nname: s\n---\nx"}), owning},
		{"remove a skill", "skill_ack", map[string]any{"type": "remove_skill", "name": "s"}, owning},
	} {
		for who, p := range peers {
			t.Run(c.name+" by "+who, func(t *testing.T) {
				made.ask("stream_created", map[string]any{"type": "create_stream", "name": "s"})
				if made.skill("s") == nil {
					made.ask("skill_ack", skill("s"))
				}
				want := c.answer
				if !strings.Contains(","+c.may+",", ","+who+",") {
					want = "error"
				}
				f := p.askAny(c.frame)
				if f["type"] != want || want == "error" && f["code"] != "forbidden" {
					t.Errorf("%v, want %s", f, want)
				}
				// As before: made by its author, not by who may replace it, and gone.
				peers["admin"].askAny(map[string]any{"type": "remove_skill", "name": "t"})
				if made.skill("s")["author"] != "author" {
					peers["admin"].ask("skill_ack", map[string]any{"type": "remove_skill", "name": "s"})
				}
			})
		}
	}
}
