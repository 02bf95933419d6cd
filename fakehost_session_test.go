package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// stopsInARow is how often hooks may have a turn go on that is about to end.
const stopsInARow = 8

// A hostSession is one conversation of the fake host. One goroutine, run, has
// the turns; what comes in otherwise goes through arrivals.
type hostSession struct {
	flags   hostFlags
	ctl     *control
	id      string
	source  string // of SessionStart
	files   *hostFiles
	hooks   map[string][]hookGroup
	server  *mcpServer   // the one under test; nil while there is none
	others  []*mcpServer // those of services
	socket  *messagingSocket
	beside  sync.WaitGroup // hooks, commands and connections that run beside the turns
	arrives chan arrival

	// Owned by run.
	turn    int
	busy    bool
	hold    bool      // a turn that starts by itself waits for the test to end it
	pending []arrival // read after the running tool
	opening []string  // what hooks of the start gave: read with the first turn
}

// An arrival is something that starts a turn of an idle session.
type arrival struct{ way, text string }

// newHostSession checks the command line against what there is on disk.
func newHostSession(flags hostFlags) (*hostSession, error) {
	files, err := openHostFiles()
	if err != nil {
		return nil, err
	}
	s := &hostSession{flags: flags, files: files, source: "startup", arrives: make(chan arrival, 64)}
	if flags.skip && os.Geteuid() == 0 {
		return nil, fmt.Errorf("--dangerously-skip-permissions cannot be used with root privileges")
	}
	if flags.cont {
		flags.resume = files.newest()
	}
	switch {
	case flags.sessionID != "" && !uuidShape(flags.sessionID):
		return nil, fmt.Errorf("Error: Invalid session ID. Must be a valid UUID.")
	case flags.sessionID != "" && flags.resume != "" && !flags.forkSession:
		return nil, fmt.Errorf("Error: --session-id can only be used with --continue or --resume if --fork-session is also specified.")
	case flags.resume != "" && !files.has(flags.resume):
		return nil, fmt.Errorf("No conversation found with session ID: %s", flags.resume)
	}
	switch {
	case flags.resume != "" && !flags.forkSession:
		s.id, s.source = flags.resume, "resume"
	case flags.resume != "":
		s.id, s.source = cmp.Or(flags.sessionID, newUUID()), "fork"
	default:
		s.id = cmp.Or(flags.sessionID, newUUID())
		if files.live(s.id) || files.has(s.id) {
			return nil, fmt.Errorf("Error: Session ID %s is already in use.", s.id)
		}
	}
	return s, nil
}

// run is the session from its start to its end.
func (s *hostSession) run(ctx context.Context) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer s.beside.Wait()
	defer end()
	if err := s.files.begin(s.id); err != nil {
		return err
	}
	defer s.files.end()
	if s.socket, err = s.listen(ctx); err != nil {
		return err
	}
	defer s.socket.close()
	s.hooks = s.files.hooks(s.ctl)
	var up sync.WaitGroup
	late := os.Getenv(hostLate) == "on"
	if !late {
		up.Go(func() { s.connect(ctx) }) // hooks do not wait for servers
	}
	s.open(ctx, s.source)
	if late {
		s.connect(ctx)
	}
	up.Wait()
	defer s.disconnect()
	s.ctl.tell(hostEvent{Event: "idle"})
	if s.flags.print {
		text, err := s.flags.text(os.Stdin)
		if err != nil {
			return err
		}
		s.begin(ctx, "prompt", text)
		s.finish(ctx)
	} else {
		s.loop(ctx)
	}
	s.fire(ctx, "SessionEnd", "", map[string]any{"reason": "prompt_input_exit"})
	return nil
}

func (s *hostSession) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.arrives:
			if s.busy {
				s.pending = append(s.pending, a)
				s.ctl.tell(hostEvent{Event: "wire", Text: "queued " + a.way})
				continue
			}
			s.begin(ctx, a.way, a.text)
			if !s.hold {
				s.finish(ctx)
			}
		case cmd, ok := <-s.ctl.commands:
			if !ok || cmd.Do == "exit" {
				return
			}
			text, err := s.do(ctx, cmd)
			answer := hostEvent{Event: "answer", Text: text}
			if err != nil {
				answer.Err = err.Error()
			}
			s.ctl.tell(answer)
		}
	}
}

// do carries out a command of the test and returns what the model gets of it.
func (s *hostSession) do(ctx context.Context, cmd hostCommand) (string, error) {
	switch cmd.Do {
	case "begin": // the user types, and a turn starts
		s.begin(ctx, "prompt", cmd.Text)
	case "stop": // the model has no more to say
		s.finish(ctx)
	case "hold":
		s.hold = true
	case "call": // a tool of the MCP server, or by its full name one of another
		return s.call(ctx, cmd.Name, cmd.Args)
	case "tool": // one of the host's own
		s.toolUsed(ctx, cmd.Name, cmd.Text)
	case "monitor": // a command whose lines are turns
		s.monitor(ctx, cmd.Text)
	case "clear": // the user begins anew: another id, the same MCP server
		s.fire(ctx, "SessionEnd", "", map[string]any{"reason": "clear"})
		s.id = newUUID()
		s.open(ctx, "clear")
	case "kill": // the MCP server dies
		return "", s.server.kill()
	case "reconnect":
		s.disconnect()
		s.connect(ctx)
	default:
		return "", fmt.Errorf("the fake host knows no %q", cmd.Do)
	}
	return "", nil
}

// open fires the hooks of a start. The model has what they give with the first
// turn: a session that is left before, or begun anew, has shown it nothing.
func (s *hostSession) open(ctx context.Context, source string) {
	s.opening = s.fire(ctx, "SessionStart", source, map[string]any{"source": source})
	for _, text := range s.opening {
		s.ctl.tell(hostEvent{Event: "opening", Way: "SessionStart", Text: text})
	}
}

// begin starts a turn with what caused it.
func (s *hostSession) begin(ctx context.Context, way, text string) {
	s.turn++
	s.busy = true
	s.ctl.tell(hostEvent{Event: "turn", Turn: s.turn, Way: way})
	s.show("SessionStart", s.opening)
	s.opening = nil
	s.seen(way, text)
	s.files.log("user", text)
	if way == "prompt" {
		s.show("UserPromptSubmit", s.fire(ctx, "UserPromptSubmit", "", map[string]any{"prompt": text}))
	}
	s.readArrivals()
}

// finish ends a turn, unless hooks have it go on.
func (s *hostSession) finish(ctx context.Context) {
	s.files.log("assistant", "done")
	for n := range stopsInARow + 1 {
		more := s.fire(ctx, "Stop", "", map[string]any{"stop_hook_active": n > 0, "last_assistant_message": "done"})
		if len(more) == 0 || n == stopsInARow {
			break
		}
		s.show("Stop", more)
		s.readArrivals()
	}
	s.busy = false
	s.ctl.tell(hostEvent{Event: "idle", Turn: s.turn})
	if len(s.pending) > 0 { // it came in when the model had no more to say
		next := s.pending[0]
		s.pending = s.pending[1:]
		s.begin(ctx, next.way, next.text)
		if !s.hold {
			s.finish(ctx)
		}
	}
}

// readArrivals puts before the model what came in since it last looked.
func (s *hostSession) readArrivals() {
	for {
		select {
		case a := <-s.arrives:
			s.pending = append(s.pending, a)
			continue
		default:
		}
		break
	}
	for _, a := range s.pending {
		s.seen(a.way, a.text)
	}
	s.pending = nil
	if s.server != nil {
		for _, text := range s.server.takeChannel() {
			s.seen("channel", text)
		}
	}
}

// call has the model call a tool of the MCP server.
func (s *hostSession) call(ctx context.Context, name string, args json.RawMessage) (string, error) {
	server := s.server
	for _, other := range s.others {
		if tool, ok := strings.CutPrefix(name, other.prefix()); ok {
			server, name = other, tool
		}
	}
	if server == nil {
		return "", fmt.Errorf("no MCP server is connected")
	}
	full := server.prefix() + name
	if server == s.server && !s.files.allowed(server.name, full) { // of others the user says yes to each call
		return "", fmt.Errorf("Claude requested permissions to use %s, but you haven't granted it yet.", full)
	}
	text, err := server.callTool(ctx, name, args)
	if err == nil {
		s.seen("result", text)
		s.toolUsed(ctx, full, text)
	}
	return text, err
}

// toolUsed is what follows every tool.
func (s *hostSession) toolUsed(ctx context.Context, name, response string) {
	s.show("PostToolUse", s.fire(ctx, "PostToolUse", name, map[string]any{
		"tool_name": name, "tool_input": map[string]any{}, "tool_response": response, "tool_use_id": "toolu_" + rand.Text()[:8], "duration_ms": 1,
	}))
	s.readArrivals()
}

// show puts what hooks gave before the model.
func (s *hostSession) show(way string, texts []string) {
	for _, text := range texts {
		s.seen(way, text)
	}
}

// seen says that the model has been shown a text.
func (s *hostSession) seen(way, text string) {
	s.ctl.tell(hostEvent{Event: "seen", Turn: s.turn, Way: way, Text: text})
}

// environ is the environment of whatever the session starts.
func (s *hostSession) environ(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FAKEHOST_") {
			env = append(env, e)
		}
	}
	entry := "cli"
	if s.flags.print {
		entry = "sdk-cli"
	}
	env = append(env, "CLAUDECODE=1", "CLAUDE_CODE_ENTRYPOINT="+entry, "CLAUDE_CODE_SESSION_ID="+s.id, "CLAUDE_PROJECT_DIR="+s.files.cwd,
		"CLAUDE_CODE_MESSAGING_SOCKET="+s.socket.path, "CLAUDE_CODE_MESSAGING_TOKEN="+s.socket.token)
	return append(env, more...)
}

// newUUID returns a random UUID of version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// transcriptLine is a line of a transcript.
func transcriptLine(id, role, text string) string {
	line, _ := json.Marshal(map[string]any{
		"type": role, "sessionId": id, "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
		"message": map[string]any{"role": role, "content": text},
	})
	return string(line) + "\n"
}

// projectDir is where the transcripts of a directory are.
func projectDir(claude, cwd string) string {
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, cwd)
	return filepath.Join(claude, "projects", name)
}
