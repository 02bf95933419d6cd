package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// This is the program "fakehost": it behaves toward MCP servers and hooks as
// Claude Code 2.1.330 was measured to, in the same order, with the same
// environment and files. The model is the test: it says over a socket what the
// user types and which tools are called, and is told all that a model would
// have been shown. See fakehost_driver_test.go for that end.
//
//	fakehost_test.go           what the test says and is told; the command line
//	fakehost_session_test.go   turns
//	fakehost_hooks_test.go     what hooks are given, and what of their output reaches the model
//	fakehost_mcp_test.go       the MCP client
//	fakehost_arrive_test.go    what reaches a session that nobody has prompted
//	fakehost_group_…_test.go   ends what was started, whole
//	fakehost_files_test.go     settings, transcripts, live sessions

// Environment of the program, which it does not hand on.
const (
	hostControl  = "FAKEHOST_CONTROL"  // TCP address at which the test listens
	hostChannels = "FAKEHOST_CHANNELS" // "on" if the remote flag that allows channels is
	hostLate     = "FAKEHOST_LATE"     // "on" if servers take longer to come up than the hooks of the start
)

// A hostCommand is what the test has the user or the model do. Each is answered.
type hostCommand struct {
	Do   string          `json:"do"`
	Name string          `json:"name,omitempty"` // of a tool
	Text string          `json:"text,omitempty"`
	Args json.RawMessage `json:"args,omitempty"`
}

// A hostEvent is what the program tells the test.
type hostEvent struct {
	Event string `json:"event"` // answer, seen, opening, turn, idle, wire, fault
	Turn  int    `json:"turn,omitempty"`
	Way   string `json:"way,omitempty"` // of seen: how it came before the model
	Text  string `json:"text,omitempty"`
	Err   string `json:"err,omitempty"` // of answer
	PID   int    `json:"pid,omitempty"` // of wire: the MCP server's
}

// control is the socket to the test.
type control struct {
	commands chan hostCommand

	mu  sync.Mutex
	enc *json.Encoder
}

// dialControl connects to the test. The channel of commands is closed when the
// test hangs up.
func dialControl(addr string) (*control, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &control{commands: make(chan hostCommand), enc: json.NewEncoder(conn)}
	go func() { // ends with the process
		defer close(c.commands)
		for dec := json.NewDecoder(bufio.NewReader(conn)); ; {
			var cmd hostCommand
			if dec.Decode(&cmd) != nil {
				return
			}
			c.commands <- cmd
		}
	}()
	return c, nil
}

func (c *control) tell(e hostEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enc.Encode(e) // a test that is gone needs no telling
}

func (c *control) fault(format string, args ...any) {
	c.tell(hostEvent{Event: "fault", Text: fmt.Sprintf(format, args...)})
}

// hostFlags are the parts of the command line that matter to a session.
type hostFlags struct {
	sessionID, resume string
	forkSession, cont bool
	print, skip       bool
	channels          []string // server:NAME
	mcpConfig         []string
	strictMCP         bool
	prompt            []string
	hint              string // added to the system prompt
}

// text is the prompt of print mode: the words, else what stdin has.
func (f *hostFlags) text(stdin io.Reader) (string, error) {
	if len(f.prompt) > 0 {
		return strings.Join(f.prompt, " "), nil
	}
	text, err := io.ReadAll(stdin)
	return string(text), err
}

// parseHostFlags reads a command line as Claude Code does: some flags swallow
// every word up to the next flag.
func parseHostFlags(args []string) (f hostFlags, err error) {
	variadic := map[string]*[]string{
		"--dangerously-load-development-channels": &f.channels, "--channels": &f.channels, "--mcp-config": &f.mcpConfig,
		"--allowedTools": new([]string),
	}
	valued := map[string]*string{
		"--session-id": &f.sessionID, "--resume": &f.resume, "-r": &f.resume, "--settings": new(string), "--system-prompt": new(string),
		"--append-system-prompt": &f.hint, "-n": new(string), "--name": new(string), "--permission-mode": new(string),
		"--system-prompt-snapshot": new(string),
	}
	switches := map[string]*bool{
		"--fork-session": &f.forkSession, "--continue": &f.cont, "-c": &f.cont, "-p": &f.print, "--print": &f.print,
		"--strict-mcp-config": &f.strictMCP, "--dangerously-skip-permissions": &f.skip,
	}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if list, ok := variadic[word]; ok {
			n := slices.IndexFunc(args, func(s string) bool { return len(s) > 0 && s[0] == '-' })
			if n < 0 {
				n = len(args)
			}
			*list = append(*list, args[:n]...)
			args = args[n:]
		} else if value, ok := valued[word]; ok && len(args) > 0 {
			*value, args = args[0], args[1:]
		} else if on, ok := switches[word]; ok {
			*on = true
		} else if word == "--" {
			f.prompt, args = append(f.prompt, args...), nil
		} else if word[0] == '-' {
			return f, fmt.Errorf("error: unknown option '%s'", word)
		} else {
			f.prompt = append(f.prompt, word)
		}
	}
	return f, nil
}

// fakeHost is the main function of the program.
func fakeHost() int {
	if slices.Equal(os.Args[1:], []string{"--version"}) {
		fmt.Println("2.1.330 (Claude Code)")
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		flags, err := parseHostFlags(os.Args[1:])
		if err != nil {
			return err
		}
		s, err := newHostSession(flags)
		if err != nil {
			return err
		}
		if s.ctl, err = dialControl(os.Getenv(hostControl)); err != nil {
			return err
		}
		if flags.hint != "" {
			s.ctl.tell(hostEvent{Event: "seen", Way: "system", Text: flags.hint})
		}
		return s.run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
