package launch

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// ErrNoHost says that there is no claude on PATH.
var ErrNoHost = errors.New("there is no `claude` on PATH")

// claude returns the path of the host program.
func claude() (string, error) {
	path, err := exec.LookPath("claude")
	if err != nil {
		return "", ErrNoHost
	}
	return filepath.Abs(path)
}

// Picker is the value of LaunchOptions.Resume for the host's list of sessions.
const Picker = "true"

// LaunchOptions say what session to start.
type LaunchOptions struct {
	peer.Persona
	// Resume is the id of a session to resume, or Picker; empty for none.
	Resume string
	// Continue goes on with the latest session of the working directory.
	Continue bool
	// Yes has the host skip its questions for permission.
	Yes          bool
	SystemPrompt string
	// AppendPrompt is added to the system prompt of the host. One in Args wins.
	AppendPrompt string
	Args         []string // for the host
	// ID is what a new session is called, as NewSessionID has it; empty is an
	// id that nobody knows beforehand.
	ID string
	// WakesPerHour, unless 0, has mail wake the session when it is closed, at
	// most so often. It needs ID, or the id of a session to resume.
	WakesPerHour int
	// Services are those of the mesh that the session gets as MCP servers of
	// their own; see RunningServices.
	Services []string
}

// NewSessionID returns an id for a new session of the host.
func NewSessionID() string { return newUUID() }

// Remembered returns the persona that a session was launched with, zero if it
// was not.
func (h *Host) Remembered(sessionID string) peer.Persona {
	return peer.Remembered(h.ConfigDir, sessionID)
}

// Launch starts the host program as a peer of the mesh. On unix this process
// becomes it; elsewhere Launch returns when it has ended, with Ended. The session is named by a new id, or by
// the one that is resumed: then it is the peer that it was. It gets
// a configuration of its own, with that mesh only, which Tidy removes once the
// host has ended. A session that is resumed is no longer woken by mail, unless
// the options say so again.
func (h *Host) Launch(ctx context.Context, o LaunchOptions) error {
	program, err := claude()
	if err != nil {
		return err
	}
	if err := h.Tidy(); err != nil {
		return err
	}
	c, err := peer.LoadConfig(h.ConfigDir)
	if err != nil {
		return err
	}
	mesh, err := c.Mesh(o.MeshID)
	if err != nil {
		return err
	}
	id, known := o.Resume, peer.ValidHostSession(o.Resume)
	if known {
		o.Persona = o.Persona.Or(h.Remembered(id))
		if _, err := h.StopWaking(ctx, id); err != nil {
			return err
		}
	} else {
		id = cmp.Or(o.ID, newUUID())
	}
	dir := h.sessionDir(id)
	if err := writeSession(ctx, dir, c, mesh, o.Persona); err != nil {
		return fmt.Errorf("prepare the session: %w", err)
	}
	extra, err := h.uninstalledFlags(dir)
	if err != nil {
		return err
	}
	environ := []string{peer.LaunchedWithChannel + "=1", peer.HostProcess + "=" + strconv.Itoa(os.Getpid())}
	if len(o.Services) > 0 {
		path, err := h.writeServices(dir, o.Services)
		if err != nil {
			return fmt.Errorf("prepare the services of the session: %w", err)
		}
		extra = append(extra, "--mcp-config", path)
		environ = append(environ, peer.NativeServices+"="+strings.Join(o.Services, ","))
	}
	named := known || o.Resume == "" && !o.Continue
	if named && o.WakesPerHour > 0 {
		if err := h.startKeeper(ctx, id, o.WakesPerHour); err != nil {
			return err
		}
	}
	args := append([]string{program}, o.hostArgs(id, extra)...)
	err = runHost(program, args, append(h.environ(dir, id, named, o.Persona), environ...))
	if _, ran := errors.AsType[Ended](err); !ran {
		_, stopErr := h.StopWaking(ctx, id)
		err = errors.Join(err, stopErr)
	}
	return err
}

// hostArgs is the command line of the host. The first flags take all words up
// to the next flag, so a flag follows each of them.
func (o *LaunchOptions) hostArgs(id string, extra []string) []string {
	args := append([]string{"--dangerously-load-development-channels", "server:" + serverName}, extra...)
	rest := withoutOurs(o.Args)
	switch {
	case o.Resume == Picker:
		args = append(args, "--resume")
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !o.Yes && o.SystemPrompt == "" && o.AppendPrompt == "" {
			rest = append([]string{"--"}, rest...) // or the prompt is taken for an id
		}
	case o.Resume != "":
		args = append(args, "--resume", o.Resume)
	case o.Continue:
		args = append(args, "--continue")
	default:
		args = append(args, "--session-id", id)
	}
	if o.Yes {
		args = append(args, "--dangerously-skip-permissions")
	}
	if o.SystemPrompt != "" {
		args = append(args, "--system-prompt", o.SystemPrompt)
	}
	if o.AppendPrompt != "" {
		args = append(args, "--append-system-prompt", o.AppendPrompt)
	}
	return append(args, rest...)
}

// withoutOurs leaves out of the user's arguments the flags that Launch decides
// on, and the value of the first of them.
func withoutOurs(args []string) (rest []string) {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(rest, args[i:]...)
		case args[i] == "--dangerously-skip-permissions":
		case args[i] == "--dangerously-load-development-channels":
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
			}
		case strings.HasPrefix(args[i], "--dangerously-load-development-channels="):
		default:
			rest = append(rest, args[i])
		}
	}
	return rest
}

// environ is the environment of the host, without what one that it is in was
// launched with.
func (h *Host) environ(dir, id string, named bool, p peer.Persona) []string {
	set := map[string]string{"CLAUDEMESH_CONFIG_DIR": dir, "CLAUDEMESH_DISPLAY_NAME": p.Name, "CLAUDEMESH_SESSION_ID": "", "CLAUDEMESH_ROLE": p.Role, peer.LaunchedWithChannel: "", peer.HostProcess: "", peer.NativeServices: ""}
	if named {
		set["CLAUDEMESH_SESSION_ID"] = id
	}
	for name, value := range map[string]string{"MCP_TIMEOUT": "30000", "MAX_MCP_OUTPUT_TOKENS": "50000"} {
		if h.Getenv(name) == "" {
			set[name] = value
		}
	}
	env := slices.DeleteFunc(hostEnviron(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, ours := set[name]
		return ours
	})
	for name, value := range set {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// uninstalledFlags hands the host the MCP server and the hooks for this one
// session where they are not installed. What wakes a session the host takes
// from the user's settings only.
func (h *Host) uninstalledFlags(dir string) (flags []string, err error) {
	for _, f := range []struct {
		path, name, flag string
		wishes           []wish
	}{
		{h.Global, "mcp.json", "--mcp-config", h.globalWishes(false)},
		{h.settings(), "settings.json", "--settings", h.settingsWishes(true)},
	} {
		data, _, err := readSettings(f.path)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(data), `claudemesh`) {
			continue
		}
		doc := &jsonDoc{data: []byte("{}\n")}
		if _, err := doc.fulfil(f.wishes); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, f.name)
		if err := writeNew(path, doc.data, 0o600); err != nil {
			return nil, err
		}
		flags = append(flags, f.flag, path)
	}
	return flags, nil
}

// newUUID returns a random UUID.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Ended says that the host program has ended, with that exit code.
type Ended int

func (e Ended) Error() string { return "the host program ended with exit code " + strconv.Itoa(int(e)) }

// ParseGroups reads a list of groups, each with a role or without:
// name[:role],name[:role]…; a name may begin with @.
func ParseGroups(list string) (groups []wire.Group, err error) {
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		name, role, _ := strings.Cut(word, ":")
		g, err := wire.CleanGroup(wire.Group{Name: strings.TrimPrefix(strings.TrimSpace(name), "@"), Role: strings.TrimSpace(role)})
		if err != nil {
			return nil, fmt.Errorf("group %q: %w", word, err)
		}
		groups = wire.PutGroup(groups, g)
	}
	return groups, nil
}

// Exists reports whether there is a host program to launch.
func Exists() error {
	_, err := claude()
	return err
}

// brokerLog is the file that a broker started in the background writes to.
func (h *Host) brokerLog() (*os.File, error) {
	if err := os.MkdirAll(h.ConfigDir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(h.ConfigDir, "broker.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}
