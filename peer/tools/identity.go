package tools

import (
	"cmp"
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// An identity is who the session is in its meshes.
type identity struct {
	session  string // host session id
	name     string // empty leaves it to the broker
	role     string
	groups   []wire.Group
	cwd      string
	hostname string
	model    string
	channel  string // kind of client
	mode     string // push, inbox or off
	zone     string // IANA name of the machine's time zone; empty if it is not known
	// transcripts is where the host keeps those of this directory; empty for a
	// host of which that is not known.
	transcripts string
	modeOpen    bool // nobody chose the mode here: the mesh's record of the member does
}

// hostEnv adds to the environment of the MCP server the process of the host,
// which started it, as hooks have it.
func hostEnv(getenv func(string) string) func(string) string {
	return func(name string) string {
		if name == "CLAUDE_PID" {
			return strconv.Itoa(os.Getppid())
		}
		return getenv(name)
	}
}

// identify finds out who the session is from its environment and configuration.
func identify(getenv func(string) string, c *peer.Config) identity {
	who := identity{
		session: peer.HostSessionID(getenv), name: peer.DisplayName(getenv, c), role: cmp.Or(getenv("CLAUDEMESH_ROLE"), c.Role),
		groups: c.Groups, model: getenv("CLAUDE_MODEL"), channel: "mcp", mode: "push", modeOpen: !validMode(c.MessageMode),
		zone: peer.LocalZone(getenv),
	}
	if !who.modeOpen {
		who.mode = c.MessageMode
	}
	// Both are for others to see; the session works without.
	who.cwd, _ = os.Getwd()
	who.hostname, _ = os.Hostname()
	if getenv("CLAUDECODE") != "" {
		who.channel, who.transcripts = "claude-code", transcriptDir(getenv, who.cwd)
		if who.session == "" {
			who.session = transcriptSession(who.transcripts, time.Now())
		}
	}
	if who.session == "" || len(who.session) > wire.MaxSessionID {
		who.session = rand.Text()
	}
	who.remember(c.Remembered(who.session))
	return who
}

// remember fills in what a session was launched with that was resumed by other
// means than its id, or without launch.
func (who *identity) remember(old peer.Persona) {
	who.name, who.role = cmp.Or(who.name, old.Name), cmp.Or(who.role, old.Role)
	if who.groups == nil {
		who.groups = old.Groups
	}
	if who.modeOpen && validMode(old.Mode) {
		who.mode, who.modeOpen = old.Mode, false
	}
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9]`)

// transcriptDir is where the host keeps the transcripts of a directory: its
// real path, with - for all but letters and digits.
func transcriptDir(getenv func(string) string, cwd string) string {
	base := getenv("CLAUDE_CONFIG_DIR")
	if base == "" {
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		base = filepath.Join(home, ".claude")
	}
	if real, err := filepath.EvalSymlinks(cwd); err == nil {
		cwd = real
	}
	return filepath.Join(base, "projects", notPlain.ReplaceAllString(cwd, "-"))
}

// transcriptRecent is how fresh the transcript of a running session is.
const transcriptRecent = 5 * time.Minute

// transcriptSession returns the session of the only transcript in dir that was
// written to lately, empty if there is none or more than one: another session's
// id would take its mail.
func transcriptSession(dir string, now time.Time) string {
	entries, err := os.ReadDir(dir)
	if dir == "" || err != nil {
		return ""
	}
	found := ""
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".jsonl")
		info, err := e.Info()
		if !ok || err != nil || now.Sub(info.ModTime()) > transcriptRecent {
			continue
		}
		if found != "" {
			return ""
		}
		found = id
	}
	return found
}
