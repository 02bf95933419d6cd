package launch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newTestHost is a user with nothing but a home.
func newTestHost(t *testing.T) *Host {
	t.Helper()
	home := t.TempDir()
	return &Host{
		Home: home, Dir: filepath.Join(home, ".claude"), Global: filepath.Join(home, ".claude.json"),
		ConfigDir: filepath.Join(home, ".claudemesh"), Executable: "/opt/my programs/claudemesh", Command: "/opt/my programs/claudemesh",
		Getenv: func(string) string { return "" },
	}
}

func install(t *testing.T, h *Host, o InstallOptions) Installed {
	t.Helper()
	in, err := h.Install(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func uninstall(t *testing.T, h *Host, client string) Installed {
	t.Helper()
	un, err := h.Uninstall(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return un
}

func outcomes(in Installed) string {
	var all []string
	for _, f := range in.Files {
		all = append(all, string(f.Outcome))
	}
	return strings.Join(all, " ")
}

func TestInstallWritesWhatTheHostReads(t *testing.T) {
	h := newTestHost(t)
	if got := outcomes(install(t, h, InstallOptions{Native: true})); got != "added added" {
		t.Errorf("outcomes %s", got)
	}
	var global struct {
		MCPServers map[string]server `json:"mcpServers"`
	}
	var settings struct {
		Permissions struct{ Allow []string }
		Hooks       map[string][]hookGroup
	}
	unmarshal(t, h.Global, &global)
	unmarshal(t, h.settings(), &settings)
	s := global.MCPServers["claudemesh"]
	if s.Type != "stdio" || s.Command != h.Command || strings.Join(s.Args, " ") != "mcp" || s.Env[nativeVariable] != "1" {
		t.Errorf("server %+v", s)
	}
	if strings.Join(settings.Permissions.Allow, " ") != "mcp__claudemesh" {
		t.Errorf("permissions %v", settings.Permissions.Allow)
	}
	var got []string
	for _, event := range []string{"SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "SessionEnd"} {
		for _, g := range settings.Hooks[event] {
			for _, c := range g.Hooks {
				line := event + ": " + c.Command
				if c.AsyncRewake {
					line += " rewakes"
					if c.Timeout != 86400 || c.RewakeSummary == "" || c.RewakeMessage == "" {
						t.Errorf("waiter %+v", c)
					}
				}
				got = append(got, line)
			}
		}
	}
	want := strings.ReplaceAll(`SessionStart: BIN hook SessionStart
SessionStart: BIN wait --hook rewakes
UserPromptSubmit: BIN hook UserPromptSubmit
PostToolUse: BIN hook PostToolUse
Stop: BIN hook Stop
Stop: BIN wait --hook rewakes
SessionEnd: BIN hook SessionEnd`, "BIN", `'/opt/my programs/claudemesh'`)
	if strings.Join(got, "\n") != want {
		t.Errorf("hooks:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func unmarshal(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, path)), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestUninstallRestoresEveryByte(t *testing.T) {
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			h := newTestHost(t)
			write(t, h.Global, text)
			write(t, h.settings(), text)
			install(t, h, InstallOptions{NoHooks: true})
			install(t, h, InstallOptions{})
			h.Command = "/elsewhere/claudemesh"
			if got := outcomes(install(t, h, InstallOptions{})); got != "updated updated" {
				t.Errorf("an installation elsewhere: %s", got)
			}
			if n := strings.Count(read(t, h.settings()), "my programs"); n > 0 {
				t.Errorf("%d commands of the first place are left", n)
			}
			once := read(t, h.settings())
			in := install(t, h, InstallOptions{})
			if got := outcomes(in); got != "unchanged unchanged" || in.Files[0].Backup != "" || read(t, h.settings()) != once {
				t.Errorf("installed twice: %s %+v", got, in.Files)
			}
			if got := outcomes(uninstall(t, h, "")); got != "removed removed" {
				t.Errorf("outcomes %s", got)
			}
			for _, path := range []string{h.Global, h.settings()} {
				if got := read(t, path); got != text {
					t.Errorf("%s was\n%q and is\n%q", path, text, got)
				}
			}
			if got := outcomes(uninstall(t, h, "")); got != "absent absent" {
				t.Errorf("uninstalled twice: %s", got)
			}
		})
	}
}

func TestUninstallRemovesFilesThatInstallMade(t *testing.T) {
	for _, client := range append(Clients(), ClaudeCode) {
		h := newTestHost(t)
		in := install(t, h, InstallOptions{Client: client})
		for _, f := range in.Files {
			if !strings.Contains(read(t, f.Path), "claudemesh") {
				t.Errorf("%s: %s has no server", client, f.Path)
			}
		}
		if got := strings.Fields(outcomes(install(t, h, InstallOptions{Client: client}))); got[0] != "unchanged" {
			t.Errorf("%s installed twice: %s", client, got)
		}
		uninstall(t, h, client)
		for _, f := range in.Files {
			if _, err := os.Stat(f.Path); !os.IsNotExist(err) {
				t.Errorf("%s: %s is still there: %v", client, f.Path, err)
			}
		}
		if _, err := os.Stat(h.recordPath()); !os.IsNotExist(err) {
			t.Errorf("%s: the record is still there: %v", client, err)
		}
	}
}

func TestUninstallKeepsWhatTheUserDid(t *testing.T) {
	h := newTestHost(t)
	write(t, h.settings(), `{"permissions": {"allow": ["mcp__claudemesh"]}}`)
	install(t, h, InstallOptions{})
	write(t, h.Global, strings.Replace(read(t, h.Global), `"env": {}`, `"env": {"A": "b"}`, 1))
	write(t, h.settings(), strings.Replace(read(t, h.settings()), `"permissions"`, `"model": "opus", "permissions"`, 1))
	un := uninstall(t, h, "")
	if got := read(t, h.settings()); got != `{"model": "opus", "permissions": {"allow": ["mcp__claudemesh"]}}` {
		t.Errorf("settings %s", got)
	}
	if left := un.Files[0].Left; len(left) != 1 || left[0] != `"mcpServers.claudemesh"` {
		t.Errorf("left %v", left)
	}
}

func TestUninstallWithoutARecordRemovesWhatInstallAdds(t *testing.T) {
	h := newTestHost(t)
	write(t, h.Global, `{"a":1}`)
	install(t, h, InstallOptions{})
	if err := os.Remove(h.recordPath()); err != nil {
		t.Fatal(err)
	}
	uninstall(t, h, "")
	if text := read(t, h.Global) + read(t, h.settings()); strings.Contains(text, "claudemesh") {
		t.Errorf("left: %s", text)
	}
}

func TestInstallTouchesNothingIfOneFileIsBroken(t *testing.T) {
	for _, broken := range []string{"", "{", `{"hooks": []}`, `{"permissions": {"allow": {}}}`, "// no comments here\n{}"} {
		h := newTestHost(t)
		write(t, h.Global, "{}")
		write(t, h.settings(), broken)
		_, err := h.Install(t.Context(), InstallOptions{})
		if err == nil || !strings.Contains(err.Error(), h.settings()) {
			t.Errorf("%q: the error is %v", broken, err)
		}
		if read(t, h.Global) != "{}" || read(t, h.settings()) != broken {
			t.Errorf("%q: something was changed", broken)
		}
		if got := names(t, h.Home); got != ".claude .claude.json" {
			t.Errorf("%q: left behind: %s", broken, got)
		}
	}
}

func TestInstallKeepsACopyOfWhatItChanges(t *testing.T) {
	h := newTestHost(t)
	write(t, h.Global, `{"mine": true}`)
	in := install(t, h, InstallOptions{})
	if got := read(t, in.Files[0].Backup); got != `{"mine": true}` || filepath.Dir(in.Files[0].Backup) != filepath.Join(h.Dir, "backups") {
		t.Errorf("backup %s has %s", in.Files[0].Backup, got)
	}
	if in.Files[1].Backup != "" {
		t.Errorf("a copy of a file that was not there: %s", in.Files[1].Backup)
	}
}

func TestCodexTableStandsBesideOthers(t *testing.T) {
	for _, text := range []string{"", "model = \"x\"", "model = \"x\"\n\n[mcp_servers.other]\ncommand = \"y\"\n"} {
		h := newTestHost(t)
		path := filepath.Join(h.Home, ".codex", "config.toml")
		write(t, path, text)
		install(t, h, InstallOptions{Client: "codex"})
		if got := read(t, path); !strings.HasPrefix(got, text) || !strings.HasSuffix(got, "[mcp_servers.claudemesh]\ncommand = \"/opt/my programs/claudemesh\"\nargs = [\"mcp\"]\n") {
			t.Errorf("got %q", got)
		}
		h.Command = "claudemesh"
		install(t, h, InstallOptions{Client: "codex"})
		if got := read(t, path); strings.Count(got, "claudemesh]") != 1 || !strings.Contains(got, `command = "claudemesh"`) {
			t.Errorf("updated %q", got)
		}
		uninstall(t, h, "codex")
		if got := read(t, path); got != text {
			t.Errorf("was %q, is %q", text, got)
		}
	}
	for _, text := range []string{"[mcp_servers.claudemesh]\n", "mcp_servers = {}\n", "[mcp_servers.\"claudemesh\"]\ncommand = \"z\"\n"} {
		h := newTestHost(t)
		path := filepath.Join(h.Home, ".codex", "config.toml")
		write(t, path, text)
		if _, err := h.Install(t.Context(), InstallOptions{Client: "codex"}); err == nil {
			t.Errorf("%q was changed", text)
		}
		if got := read(t, path); got != text {
			t.Errorf("was %q, is %q", text, got)
		}
	}
}
