package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestServicesOfASessionLieInItsDirectory(t *testing.T) {
	h := newTestHost(t)
	dir := h.sessionDir(newUUID())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := h.writeServices(dir, []string{"db", "docs"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || filepath.Dir(path) != dir || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info, err)
	}
	var file struct{ MCPServers map[string]server }
	if err := json.Unmarshal([]byte(read(t, path)), &file); err != nil {
		t.Fatal(err)
	}
	s := file.MCPServers["mesh:db"]
	if len(file.MCPServers) != 2 || s.Command != h.Command || strings.Join(s.Args, " ") != "mcp --service db" || s.Env["CLAUDEMESH_CONFIG_DIR"] != dir {
		t.Errorf("it has %+v", file)
	}
	if _, err := os.Stat(h.Global); !os.IsNotExist(err) {
		t.Errorf("the user's file was written: %v", err)
	}
}

func TestDoctorFindsEntriesThatOtherProgramsLeftBehind(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run", "^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	gone, here := ended.Process.Pid, os.Getpid()
	for _, c := range []struct {
		name, servers string
		orphans       []string
	}{
		{"no file", "", nil},
		{"none", `{"claudemesh": {"command": "claudemesh"}, "mesh": {"command": "x"}}`, nil},
		{"of a session that runs", fmt.Sprintf(`{"mesh:db:%d": {"command": "claudemesh", "_meshSession": {"pid": %d}}}`, here, here), nil},
		{"of one that ended", fmt.Sprintf(`{"mesh:db:%d": {"command": "claudemesh", "_meshSession": {"pid": %d}}, "mesh:b:%d": {"command": "claudemesh"}, "mesh:mine": {"command": "x"}, "meshes:%d": {}}`, gone, gone, gone, gone),
			[]string{fmt.Sprintf("mesh:b:%d", gone), fmt.Sprintf("mesh:db:%d", gone)}},
		{"of another form", `["mesh:db:1"]`, nil},
	} {
		h := newTestHost(t)
		if c.servers != "" {
			write(t, h.Global, `{"mcpServers": `+c.servers+`}`)
		}
		got := h.checkOrphans()
		if got.OK != (c.orphans == nil) || !strings.Contains(got.Detail, strings.Join(c.orphans, ", ")) || strings.Contains(got.Detail, "mine") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
