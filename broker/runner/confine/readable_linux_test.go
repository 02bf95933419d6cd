package confine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhatIsHiddenIsInNothingThatIsReadable(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "opt/mesh/data")
	if err := errors.Join(
		os.MkdirAll(data+"/meshes", 0o755), os.MkdirAll(root+"/opt/mesh/bin", 0o755), os.MkdirAll(root+"/opt/node", 0o755),
		os.WriteFile(root+"/opt/mesh/data2", nil, 0o600), os.Symlink(data, root+"/link"),
	); err != nil {
		t.Fatal(err)
	}
	c := New(t.Context(), Options{Data: root + "/link", Programs: []string{}})
	got := c.readable([]string{root + "/opt", data, data + "/meshes/m"})
	for _, want := range []string{"opt/node", "opt/mesh/bin", "opt/mesh/data2", "opt/mesh/data/meshes/m"} {
		if !slices.Contains(got, filepath.Join(root, want)) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
	for _, p := range got {
		if below(data, p) {
			t.Errorf("%s contains %s", p, data)
		}
	}
}
