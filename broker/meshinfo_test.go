package broker

import (
	"fmt"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestMeshInfoHasEveryField(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a, hidden := alice.modern("a"), bob.modern("b")
	a.ask("ack", map[string]any{"type": "join_group", "name": "web/front", "role": "lead"})
	hidden.ask("ack", map[string]any{"type": "join_group", "name": "secret"})
	hidden.ask("ack", map[string]any{"type": "set_visible", "visible": false})
	got := a.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
	want := map[string]any{
		"type": "mesh_info_result", "_reqId": got["_reqId"], "mesh": b.mesh, "slug": "home", "name": got["name"], "peers": 1.0,
		"groups": []any{"@web/front"}, "stateKeys": []any{}, "memoryCount": 0.0, "fileCount": 0.0,
		"tasks": map[string]any{"open": 0.0, "claimed": 0.0, "done": 0.0}, "streams": []any{}, "tables": []any{}, "collections": []any{},
		"skills": []any{}, "services": []any{}, "yourName": "alice", "yourGroups": []any{map[string]any{"name": "web/front", "role": "lead"}},
		"yourPubkey": a.key,
	}
	if !equalJSON(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if own := hidden.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); own["peers"] != 2.0 || !equalJSON(own["groups"], []any{"@secret", "@web/front"}) {
		t.Errorf("a hidden session does not see itself: %v", own)
	}
}

func TestMeshInfoFitsAFrameHoweverMuchThereIs(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 10_000 {
		names = append(names, strings.Repeat("\x01", 100)+fmt.Sprint(i)) // the longest there is once it is encoded
	}
	res := wire.MeshInfoResult{Groups: names, StateKeys: names, Streams: names, Tables: names, Collections: names, Skills: names, Services: names}
	boundInfo(&res)
	if n := len(must(wire.Append(nil, "", res))); n > wire.MaxFrameBytes || !res.Cut || res.StateKeys[0] != names[0] {
		t.Errorf("%d bytes, cut %v", n, res.Cut)
	}
	whole := wire.MeshInfoResult{StateKeys: names[:10]}
	if boundInfo(&whole); whole.Cut || len(whole.StateKeys) != 10 {
		t.Errorf("%+v", whole)
	}
}
