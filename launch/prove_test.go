package launch

import (
	"os"
	"strings"
	"testing"

	"claudemesh/peer"
)

func TestProveTriesTheInstalledCommand(t *testing.T) {
	join := func(c *peer.Config) error {
		c.AddMesh(peer.Mesh{MeshID: "m", Slug: "home"})
		return nil
	}
	for _, c := range []struct {
		name, role string
		joined     bool
		want       Proof
		fault      string
	}{
		{name: "without a mesh", role: "server", want: Proof{Server: "claudemesh 7", Tools: 2, Skipped: "No message was sent, because no mesh is joined yet."}},
		{name: "with one", role: "server", joined: true, want: Proof{Server: "claudemesh 7", Tools: 2, RoundTrip: "home"}},
		{name: "that does not start", role: "broken server", fault: "the parts do not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(roleVariable, c.role)
			h := newTestHost(t)
			h.Command = os.Args[0]
			if c.joined {
				if err := peer.UpdateConfig(t.Context(), h.ConfigDir, join); err != nil {
					t.Fatal(err)
				}
			}
			got, err := h.Prove(t.Context())
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	h := newTestHost(t)
	h.Command = "/nowhere/claudemesh"
	if _, err := h.Prove(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere/claudemesh") {
		t.Errorf("the error for a program that is not there is %v", err)
	}
}
