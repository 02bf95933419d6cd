package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Time limits of the MCP client. Those measured are 3 s for discoverLimit and 5 s
// for lastGrace: no test is about them, and one process may be that late on
// a machine that runs many.
const (
	discoverLimit = 20 * time.Second
	connectLimit  = 30 * time.Second
	killAfter     = 100 * time.Millisecond
	lastGrace     = 20 * time.Second
)

// modernRevision is the revision of MCP that has no unsolicited notifications.
const modernRevision = "2026-07-28"

// An mcpServer is a server that the host has started, seen from the host.
type mcpServer struct {
	s     *hostSession
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when its process is gone
	heard channelQueue

	mu       sync.Mutex
	stdin    io.Writer
	waiting  map[string]chan rpcMessage // by the JSON of the id
	last     int                        // id given
	modern   bool
	channels bool // notifications of channels are shown
}

// rpcMessage is any message of JSON-RPC.
type rpcMessage struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// connect starts the MCP servers of the user's configuration and speaks with
// them until they are ready. A session goes on without.
func (s *hostSession) connect(ctx context.Context) {
	servers, err := s.files.servers(s.flags)
	if err != nil {
		s.ctl.fault("%v", err)
		return
	}
	for name, entry := range servers {
		server, err := s.startServer(name, entry)
		if err == nil && !strings.HasPrefix(name, "mesh:") {
			s.server = server
		} else if err == nil {
			s.others = append(s.others, server)
		}
		if err == nil {
			err = server.handshake(ctx)
		}
		if err != nil {
			s.ctl.fault("MCP server %s: %v", name, err)
		}
	}
}

func (s *hostSession) startServer(name string, entry mcpEntry) (*mcpServer, error) {
	cmd := exec.Command(entry.Command, entry.Args...)
	cmd.Env, cmd.Dir = s.environ(), s.files.cwd
	for k, v := range entry.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &mcpServer{s: s, name: name, cmd: cmd, stdin: stdin, ended: make(chan struct{}), waiting: make(map[string]chan rpcMessage)}
	s.ctl.tell(hostEvent{Event: "wire", Text: "started " + name, PID: cmd.Process.Pid})
	s.beside.Go(func() {
		defer close(m.ended)
		m.read(stdout)
		cmd.Wait()
	})
	return m, nil
}

// handshake is the beginning of a connection, in the order that was measured.
func (m *mcpServer) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	discover, stop := context.WithTimeout(ctx, discoverLimit)
	found, err := m.request(discover, `"discover-1"`, "server/discover", nil)
	stop()
	var offer struct{ SupportedVersions []string }
	if err == nil && json.Unmarshal(found, &offer) == nil && slices.Contains(offer.SupportedVersions, modernRevision) {
		m.modern = true
		m.s.ctl.tell(hostEvent{Event: "wire", Text: "modern"})
		return nil
	}
	hello := map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{"roots": map[string]any{}},
		"clientInfo": map[string]any{"name": "claude-code", "version": "2.1.330"},
	}
	answer, err := m.request(ctx, "0", "initialize", hello)
	if err != nil {
		return err
	}
	var server struct {
		Instructions string
		Capabilities struct{ Experimental map[string]any }
	}
	if err := json.Unmarshal(answer, &server); err != nil {
		return err
	}
	_, capable := server.Capabilities.Experimental["claude/channel"]
	m.mu.Lock()
	m.channels = capable && os.Getenv(hostChannels) == "on" && slices.Contains(m.s.flags.channels, "server:"+m.name) && !m.s.flags.print
	m.mu.Unlock()
	if err := m.write(rpcMessage{Method: "notifications/initialized"}); err != nil {
		return err
	}
	m.shown("instructions", server.Instructions)
	return m.list(ctx, "tools/list", "prompts/list", "resources/list")
}

// list asks for the lists in one burst and waits for all.
func (m *mcpServer) list(ctx context.Context, methods ...string) error {
	errs := make([]error, len(methods))
	var wg sync.WaitGroup
	for i, method := range methods {
		wg.Go(func() {
			result, err := m.request(ctx, "", method, nil)
			if method != "tools/list" {
				return // a server without prompts may say so
			}
			var r struct{ Tools []listedTool }
			if err == nil {
				err = json.Unmarshal(result, &r)
			}
			names := make([]string, 0, len(r.Tools))
			for _, t := range r.Tools {
				if why := t.dropped(); why != "" {
					m.s.ctl.fault("MCP server %s: tool %s is dropped: %s", m.name, t.Name, why)
					continue
				}
				names = append(names, m.prefix()+t.Name)
			}
			m.shown("tools", strings.Join(names, "\n"))
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// prefix is what stands before the names of the server's tools.
func (m *mcpServer) prefix() string {
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, m.name)
	return "mcp__" + plain + "__"
}

// callTool calls a tool and returns its text.
func (m *mcpServer) callTool(ctx context.Context, name string, args json.RawMessage) (string, error) {
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	result, err := m.request(ctx, "", "tools/call", map[string]any{
		"name": name, "arguments": args,
		"_meta": map[string]any{"progressToken": 1, "claudecode/toolUseId": "toolu_" + name},
	})
	if err != nil {
		return "", err
	}
	var r struct {
		Content []struct{ Type, Text string }
		IsError bool
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return "", err
	}
	var texts []string
	for _, c := range r.Content {
		texts = append(texts, c.Text)
	}
	text := strings.Join(texts, "\n")
	if r.IsError {
		m.shown("result", text)
		return "", errors.New(text)
	}
	return text, nil
}

// request sends a request and waits for its answer. An empty id is the next number.
func (m *mcpServer) request(ctx context.Context, id, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	if params == nil {
		raw = nil
	}
	answer := make(chan rpcMessage, 1)
	m.mu.Lock()
	if id == "" {
		m.last++
		id = fmt.Sprint(m.last)
	}
	m.waiting[id] = answer
	m.mu.Unlock()
	if err := m.write(rpcMessage{ID: json.RawMessage(id), Method: method, Params: raw}); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		if a.Error != nil {
			return nil, fmt.Errorf("%s: %s (%d)", method, a.Error.Message, a.Error.Code)
		}
		return a.Result, nil
	case <-m.ended:
		return nil, fmt.Errorf("%s: MCP error -32000: Connection closed", method)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (m *mcpServer) write(msg rpcMessage) error {
	msg.JSONRPC = "2.0"
	line, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err = m.stdin.Write(append(line, '\n'))
	return err
}

// read takes what the server says until it closes its output.
func (m *mcpServer) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var msg rpcMessage
		if err := json.Unmarshal(lines.Bytes(), &msg); err != nil || msg.JSONRPC != "2.0" {
			m.s.ctl.fault("MCP server %s wrote no JSON-RPC: %.200s", m.name, lines.Bytes())
			continue
		}
		switch {
		case msg.Method == "":
			m.mu.Lock()
			answer := m.waiting[string(msg.ID)]
			delete(m.waiting, string(msg.ID))
			m.mu.Unlock()
			if answer != nil {
				answer <- msg
			}
		case len(msg.ID) > 0:
			m.write(m.answer(msg))
		default:
			m.notified(msg)
		}
	}
}

// answer is what the host says to a request of the server.
func (m *mcpServer) answer(msg rpcMessage) rpcMessage {
	switch msg.Method {
	case "ping":
		return rpcMessage{ID: msg.ID, Result: json.RawMessage("{}")}
	case "roots/list":
		roots, _ := json.Marshal(map[string]any{"roots": []any{map[string]any{"uri": "file://" + m.s.files.cwd}}})
		return rpcMessage{ID: msg.ID, Result: roots}
	}
	return rpcMessage{ID: msg.ID, Error: &rpcError{-32601, "Method not found"}}
}

// notified takes a notification: of a channel, or of a list that has changed.
func (m *mcpServer) notified(msg rpcMessage) {
	defer m.s.ctl.tell(hostEvent{Event: "wire", Text: msg.Method + " " + string(msg.Params)}) // once the model can read it
	if msg.Method == "notifications/tools/list_changed" {
		m.s.beside.Go(func() { m.list(context.Background(), "tools/list") })
	}
	m.mu.Lock()
	shown := m.channels
	m.mu.Unlock()
	if msg.Method != "notifications/claude/channel" || !shown {
		return // dropped without a word
	}
	var c struct {
		Content string
		Meta    map[string]string
	}
	if err := json.Unmarshal(msg.Params, &c); err != nil {
		m.s.ctl.fault("channel notification: %v", err)
		return
	}
	m.heard.put(renderChannel(m.name, c.Content, c.Meta))
}

// renderChannel is a channel notification as the model reads it.
func renderChannel(source, content string, meta map[string]string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<channel source=%q", source)
	key := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	for k, v := range meta {
		if key.MatchString(k) {
			fmt.Fprintf(&b, " %s=%q", k, v)
		}
	}
	fmt.Fprintf(&b, ">%s</channel>", content)
	return b.String()
}

// shown says that the model has been shown something of the server, whichever
// turn it is.
func (m *mcpServer) shown(way, text string) {
	m.s.ctl.tell(hostEvent{Event: "seen", Way: way, Text: text})
}

func (m *mcpServer) takeChannel() []string { return m.heard.take() }

// kill ends the server as a crash would, and waits until it is gone.
func (m *mcpServer) kill() error {
	err := m.cmd.Process.Kill()
	<-m.ended
	return err
}

// disconnect ends the servers.
func (s *hostSession) disconnect() {
	all := s.others
	if s.server != nil {
		all = append(all, s.server)
	}
	s.server, s.others = nil, nil
	for _, m := range all {
		m.end()
	}
}

// end ends the server as the host does: its input stays open.
func (m *mcpServer) end() {
	for _, step := range []struct {
		sig  os.Signal
		wait time.Duration
	}{{os.Interrupt, killAfter}, {syscall.SIGTERM, lastGrace}} {
		m.cmd.Process.Signal(step.sig)
		select {
		case <-m.ended:
			return
		case <-time.After(step.wait):
		}
	}
	m.s.ctl.fault("MCP server %s had to be killed", m.name)
	m.kill()
}
