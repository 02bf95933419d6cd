package broker

import (
	"testing"
	"time"

	"claudemesh/wire"
)

// What a member asks for in the commit that revokes it comes too late, whatever
// part of the broker it is for.
func TestARevokedMemberChangesNothingInTheSameCommit(t *testing.T) {
	t.Parallel()
	for _, f := range []map[string]any{
		with("set_state", "key", "k", "value", 1), with("remember", "content", "x"), with("create_task", "title", "x"),
		with("create_stream", "name", "x"), with("delete_stream", "name", "mine"), with("delete_state", "key", "mine"),
		with("share_skill", "name", "x", "description", "d", "instructions", "i"), with("remove_skill", "name", "mine"),
		with("publish", "stream", "y", "data", 1),
	} {
		t.Run(f["type"].(string), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *testBroker) {
				alice := b.join("alice")
				p, bob := alice.modern("a"), b.join("bob").modern("b")
				p.ask("stream_created", with("create_stream", "name", "mine"))
				p.ask("ack", with("set_state", "key", "mine", "value", 1))
				p.ask("skill_ack", with("share_skill", "name", "mine", "description", "d", "instructions", "i"))
				overview := func() map[string]any {
					info := bob.ask("mesh_info_result", with("mesh_info"))
					delete(info, "peers")
					delete(info, "_reqId")
					return info
				}
				before := overview()
				release := b.holdWriter()
				done := make(chan int, 1)
				go func() {
					status, _ := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+alice.id, b.owner, nil)
					done <- status
				}()
				pass(time.Second)
				f["_reqId"] = "late"
				p.say(f)
				pass(time.Second)
				release()
				if status := <-done; status != 200 {
					t.Fatalf("revoke: %d", status)
				}
				if how, last := p.end(); how.Code != wire.CloseRevoked {
					t.Errorf("closed by %v after %v", how, last)
				}
				if after := overview(); !equalJSON(before, after) {
					t.Errorf("before %v\nafter  %v", before, after)
				}
			})
		})
	}
}
