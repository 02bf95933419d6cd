package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestErrorsOfABrokerSayWhatToDo(t *testing.T) {
	local := &peer.Mesh{Slug: "home", BrokerURL: "ws://127.0.0.1:7900/ws"}
	remote := &peer.Mesh{Slug: "home", BrokerURL: "wss://mesh.example.com/ws"}
	for _, c := range []struct {
		err        error
		mesh       *peer.Mesh
		text, hint string
	}{
		{fmt.Errorf("x: %w", peer.ErrUnreachable), local, "x: ", "claudemesh serve"},
		{peer.ErrUnreachable, remote, "", "is the broker running on mesh.example.com"},
		{peer.ErrRevoked, local, "no longer a member of home", "leave home --local"},
		{wire.Errorf(wire.Unauthorized, "hello rejected: unauthorized"), local, "no longer a member of home", "new invite"},
		{wire.Errorf(wire.Unauthorized, "hello rejected: the session key is another member's"), local, "the session key is another member's", ""},
		{wire.Errorf(wire.TimestampSkew, "off"), local, "off", "clock"},
		{wire.Errorf(wire.NotFound, "no such thing"), local, "no such thing", ""},
	} {
		err := explainMesh(c.err, c.mesh)
		hint := ""
		if h, ok := errors.AsType[*HintError](err); ok {
			hint = h.Hint
		}
		if text := plainError(err); !strings.Contains(text, c.text) || strings.Contains(text, "(not_found)") || !strings.Contains(hint, c.hint) || (hint == "") != (c.hint == "") {
			t.Errorf("%v: %q, hint %q; want %q, %q", c.err, text, hint, c.text, c.hint)
		}
	}
	if explainMesh(nil, local) != nil {
		t.Error("success became an error")
	}
}
