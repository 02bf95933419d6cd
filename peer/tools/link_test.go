package tools

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// host is the program at the other end of the server's stdio.
type host struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan string
	ended chan error
}

// startServer runs the real server on a pair of pipes.
func startServer(t *testing.T, o Options) *host {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	o.Stdin, o.Stdout = inR, outW
	if o.ConfigDir == "" {
		o.ConfigDir = t.TempDir()
	}
	run, err := os.MkdirTemp("", "cm")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", run)
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	h := &host{t: t, in: inW, lines: make(chan string, 100), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { h.ended <- Serve(ctx, o); outW.Close() }()
	go func() {
		defer close(h.lines)
		for s := bufio.NewScanner(outR); s.Scan(); {
			h.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		inW.Close()
		cancel()
		for range h.lines {
		}
		os.RemoveAll(run)
	})
	return h
}

func (h *host) send(lines ...string) {
	h.t.Helper()
	if _, err := io.WriteString(h.in, strings.Join(lines, "\n")+"\n"); err != nil {
		h.t.Fatal(err)
	}
}

// answer is what the tests look at of an answer or a notification.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Result struct {
		ProtocolVersion string                     `json:"protocolVersion"`
		Capabilities    map[string]json.RawMessage `json:"capabilities"`
		Instructions    string                     `json:"instructions"`
		IsError         bool                       `json:"isError"`
		Tools           []struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			InputSchema json.RawMessage `json:"inputSchema"`
		} `json:"tools"`
		Prompts *[]any `json:"prompts"`
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
		Structured map[string]any `json:"structuredContent"`
	} `json:"result"`
}

func (h *host) next() (a answer) {
	h.t.Helper()
	line, ok := <-h.lines
	if !ok {
		h.t.Fatal("the server ended")
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		h.t.Fatalf("standard output has %q: %v", line, err)
	}
	return a
}

const (
	initialize  = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"host","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

func toolCall(id, name, args string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + name + `","arguments":` + args + `,"_meta":{"progressToken":1,"claudecode/toolUseId":"x"}}}`
}

func TestHandshakeNeedsNoBroker(t *testing.T) {
	h := startServer(t, Options{Version: "1"})
	h.send(`{"jsonrpc":"2.0","id":"probe","method":"server/discover","params":{}}`)
	if a := h.next(); string(a.ID) != `"probe"` || a.Error == nil || a.Error.Code != -32601 {
		t.Errorf("server/discover: %+v", a)
	}
	h.send(initialize)
	a := h.next()
	if a.Result.ProtocolVersion != "2025-11-25" || string(a.ID) != "0" {
		t.Errorf("initialize: %+v", a)
	}
	if !strings.Contains(string(a.Result.Capabilities["experimental"]), `"claude/channel"`) || a.Result.Capabilities["tools"] == nil || string(a.Result.Capabilities["prompts"]) != `{"listChanged":true}` || string(a.Result.Capabilities["resources"]) != `{"listChanged":true}` {
		t.Errorf("capabilities %s", a.Result.Capabilities)
	}
	h.send(initialized, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":2,"method":"prompts/list"}`, `{"jsonrpc":"2.0","id":3,"method":"resources/list"}`)
	answers := make(map[string]answer)
	for range 3 {
		a := h.next()
		answers[string(a.ID)] = a
	}
	if a := answers["1"]; len(a.Result.Tools) != len(Names()) {
		t.Errorf("%d tools of %d", len(a.Result.Tools), len(Names()))
	}
	if a := answers["2"]; a.Result.Prompts == nil {
		t.Errorf("prompts/list: %+v", a)
	}
	if a, ok := answers["3"]; !ok || a.Error != nil {
		t.Errorf("resources/list: %+v", a)
	}
}

func TestLaterRevisionsAreNotNegotiated(t *testing.T) {
	h := startServer(t, Options{})
	h.send(strings.Replace(initialize, "2025-11-25", "2026-07-28", 1))
	if a := h.next(); a.Error == nil && (a.Result.ProtocolVersion == "" || a.Result.ProtocolVersion > "2025-11-25") {
		t.Errorf("negotiated %q", a.Result.ProtocolVersion)
	}
}

func TestServerEndsWithItsInput(t *testing.T) {
	h := startServer(t, Options{})
	h.send(initialize)
	h.next()
	h.send(toolCall("1", "check_messages", `{"wait_seconds":300}`))
	h.in.Close()
	if err := <-h.ended; err != nil {
		t.Error(err)
	}
}

func TestCancelledCallHasNoAnswerAndHoldsNothingUp(t *testing.T) {
	h := startServer(t, Options{})
	h.send(initialize)
	h.next()
	for id := range 10 {
		h.send(toolCall(string(rune('0'+id)), "check_messages", `{"wait_seconds":300}`))
	}
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}`, toolCall("77", "check_messages", `{}`))
	if a := h.next(); string(a.ID) != "77" || a.Result.IsError {
		t.Errorf("%+v", a)
	}
}

func TestToolsSayWhatIsMissing(t *testing.T) {
	h := startServer(t, Options{})
	h.send(initialize)
	h.next()
	for _, c := range []struct{ name, args, want string }{
		{"list_peers", `{}`, "claudemesh join"},
		{"send_message", `{"to":"ann"}`, `"message" is missing`},
		{"send_message", `{"to":"ann","message":"x","colour":"red"}`, "colour"},
		{"send_message", `{"to":7,"message":"x"}`, "cannot be read"},
		{"get_state", `{"key":7}`, `"key" cannot be of the kind number`},
		{"get_state", `[1]`, "a value of the kind array"},
		{"send_message", `{"message":"x"}`, "`to` is missing"},
		{"set_status", `{"status":"asleep"}`, "use idle, working or dnd"},
		{"check_messages", `{"wait_seconds":301}`, "0 to 300"},
		{"join_group", `{"name":"a b"}`, "group"},
	} {
		h.send(toolCall("1", c.name, c.args))
		a := h.next()
		if !a.Result.IsError || !strings.Contains(a.Result.Content[0].Text, c.want) {
			t.Errorf("%s %s: %+v", c.name, c.args, a)
		}
		if text, _ := a.Result.Structured["error"].(string); text == "" {
			t.Errorf("%s %s: no structured content: %+v", c.name, c.args, a.Result.Structured)
		}
	}
}

func TestServerSurvivesWhatIsNoMessage(t *testing.T) {
	h := startServer(t, Options{})
	h.send("nonsense")
	if a := h.next(); a.Error == nil || a.Error.Code != -32700 {
		t.Errorf("%+v", a)
	}
	h.send(strings.Repeat("x", maxLine+10))
	if a := h.next(); a.Error == nil {
		t.Errorf("%+v", a)
	}
	h.send(`[1,2]`, `{"jsonrpc":"2.0","id":5,"method":"ping"}`)
	for a := h.next(); string(a.ID) != "5"; a = h.next() {
	}
}

func TestToolsCanBeChosen(t *testing.T) {
	for _, c := range []struct {
		which string
		want  int
	}{{"all", len(Names())}, {"", len(Names())}, {"core", 8}, {"mesh_info, send_message", 2}} {
		got, err := chosen(c.which)
		if err != nil || len(got) != c.want {
			t.Errorf("%q: %d tools, %v", c.which, len(got), err)
		}
	}
	if _, err := chosen("nothing"); err == nil || !strings.Contains(err.Error(), "send_message") {
		t.Error(err)
	}
}

func TestOnlyTheOneFreshTranscriptNamesTheSession(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		ages map[string]time.Duration
		want string
	}{
		{nil, ""},
		{map[string]time.Duration{"a.jsonl": time.Minute, "b.jsonl": time.Hour, "c.txt": 0}, "a"},
		{map[string]time.Duration{"a.jsonl": time.Minute, "b.jsonl": time.Minute}, ""},
		{map[string]time.Duration{"a.jsonl": time.Hour}, ""},
	} {
		dir := t.TempDir()
		for name, age := range c.ages {
			if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(dir+"/"+name, now.Add(-age), now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		if got := transcriptSession(dir, now); got != c.want {
			t.Errorf("%v: %q, want %q", c.ages, got, c.want)
		}
	}
	if got := transcriptDir(func(k string) string { return map[string]string{"HOME": "/h"}[k] }, "/no/such_dir.x"); got != "/h/.claude/projects/-no-such-dir-x" {
		t.Error(got)
	}
}

func TestNamesAreOfOneTable(t *testing.T) {
	names := Names()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(Names()) {
		t.Error("a name is there twice")
	}
}

func TestDocumentationNamesEveryTool(t *testing.T) {
	text, err := os.ReadFile("../../docs/CLAUDE-CODE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tl := range table() {
		found := false
		for line := range strings.Lines(string(text)) {
			found = found || strings.HasPrefix(line, "| `"+tl.name+"` |") && strings.Contains(line, "✓") == tl.core
		}
		if !found {
			t.Errorf("the table of docs/CLAUDE-CODE.md has no right line for %s", tl.name)
		}
	}
}

// TestArgumentsKeepAllTheirDigits passes what a float64 cannot hold.
func TestArgumentsKeepAllTheirDigits(t *testing.T) {
	var got string
	echo := define(tool{name: "echo", description: "echoes"}, func(_ context.Context, _ *hub, in struct {
		Value wire.Value `json:"value"`
	}) (reply, error) {
		got = string(in.Value)
		return reply{text: "done"}, nil
	})
	h := newHub(identity{mode: "push"}, t.TempDir(), slog.New(slog.DiscardHandler))
	close(h.loaded)
	o := &offers{hub: h}
	var out strings.Builder
	l := newLink(newServer(h, []tool{echo}, o, "1"), o, &out, h.log)
	const value = `{"id":9007199254740993,"price":0.10000000000000000001}`
	if err := l.serve(t.Context(), strings.NewReader(initialize+"\n"+toolCall("1", "echo", `{"value":`+value+`}`)+"\n")); err != nil {
		t.Fatal(err)
	}
	if got != value {
		t.Errorf("the tool got %s, want %s", got, value)
	}
}

// TestCallsOfTheFirstMomentKnowTheMeshes has a model call a tool before the
// configuration was read.
func TestCallsOfTheFirstMomentKnowTheMeshes(t *testing.T) {
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err = peer.UpdateConfig(t.Context(), dir, func(c *peer.Config) error {
		c.AddMesh(peer.Mesh{MeshID: "one", Slug: "one", Pubkey: key.Public().String(), SecretKey: key.Hex(), BrokerURL: "ws://127.0.0.1:1/ws"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := startServer(t, Options{ConfigDir: dir})
	h.send(initialize, toolCall("1", "list_peers", `{}`))
	h.next()
	if text := h.next().Result.Content[0].Text; !strings.Contains(text, "not connected to one yet") {
		t.Errorf("the model is told: %s", text)
	}
}
