package cli

import (
	"errors"
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestAdminsAreNamedWhereTheyCouldHelp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, said string
		hint       bool
	}{
		{"an admin may", "only ann, who deployed the service, and admins may update it", true},
		{"nobody may", `the service "db" was deployed from an archive: share the new one and deploy it under the same name`, false},
	} {
		err := explainMesh(wire.Errorf(wire.Forbidden, "%s", c.said), &peer.Mesh{})
		hint, ok := errors.AsType[*HintError](err)
		if ok != c.hint || ok && !strings.Contains(hint.Hint, "admin") {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
}
