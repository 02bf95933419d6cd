package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/peer"
	"claudemesh/peer/lend"
	"claudemesh/wire"
)

const (
	maxAsked   = 4 // calls that wait for the session itself
	shownArgs  = 250
	reofferFor = 30 * time.Second // for a server to tell its tools anew
)

// An object is a JSON object, as the argument of a tool.
type object struct{ wire.Value }

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(p []byte) error {
	if err := o.Value.UnmarshalJSON(p); err != nil {
		return err
	}
	if len(o.Value) == 0 || o.Value[0] != '{' {
		return errors.New("an argument must be an object")
	}
	return nil
}

// asked are the calls that the session must answer itself.
type asked struct {
	mu sync.Mutex
	by map[string]*askedCall // by id
}

type askedCall struct {
	call   peer.ToolCall
	answer chan toolAnswer // holds one
}

type toolAnswer struct {
	result wire.Value
	err    error
}

func newAsked() *asked { return &asked{by: make(map[string]*askedCall)} }

// add notes a call, unless too many wait.
func (a *asked) add(call peer.ToolCall) (*askedCall, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.by) >= maxAsked {
		return nil, errors.New("the host's session has other calls to answer: try again in a moment")
	}
	c := &askedCall{call: call, answer: make(chan toolAnswer, 1)}
	a.by[call.ID] = c
	return c, nil
}

func (a *asked) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, id)
}

var errNotAsked = errors.New("no such call waits: it was answered, or its 30 s are over")

func (a *asked) show(id string) (peer.ToolCall, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.by[id]; c != nil {
		return c.call, nil
	}
	return peer.ToolCall{}, errNotAsked
}

// answer gives a call its answer. A result that is a text becomes a text block.
func (a *asked) answer(id string, result *wire.Value, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.by[id]
	if c == nil {
		return errNotAsked
	}
	delete(a.by, id)
	out := toolAnswer{err: err}
	if err == nil {
		out.result = asResult(*result)
	}
	c.answer <- out
	return nil
}

// asResult is v if it is the result of a tool, else a result that has it.
func asResult(v wire.Value) wire.Value {
	var whole struct {
		Content []json.RawMessage `json:"content"`
	}
	if len(v) > 0 && v[0] == '{' && json.Unmarshal(v, &whole) == nil && whole.Content != nil {
		return v
	}
	text := v.String()
	var plain string
	if json.Unmarshal(v, &plain) == nil {
		text = plain
	}
	result := map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}}
	if len(v) > 0 && v[0] == '{' {
		result["structuredContent"] = v
	}
	p, _ := json.Marshal(result) // texts and a Value always encode
	return p
}

// serveTool answers a call of a server that this session hosts: the server of
// the configuration does, or the session itself.
func (h *hub) serveTool(ctx context.Context, m *mesh, call peer.ToolCall) (wire.Value, error) {
	configured, err := m.lender.Has(call.Server)
	if err != nil {
		return nil, errors.New("the host's configuration cannot be read")
	}
	if configured {
		return m.lender.Call(ctx, call.Server, call.Tool, call.Args)
	}
	if h.post.currentMode() == "off" {
		return nil, errors.New("the host's session takes no calls now")
	}
	waits, err := h.asked.add(call)
	if err != nil {
		return nil, err
	}
	defer h.asked.drop(call.ID)
	n := callNews(&call)
	h.announce(m, &n)
	select {
	case a := <-waits.answer:
		return a.result, a.err
	case <-ctx.Done():
		return nil, errors.New("the host's session did not answer in time")
	}
}

// jsonLine is JSON of a peer on one line of at most n characters.
func jsonLine(v wire.Value, n int) string {
	return wire.Shorten(strings.ReplaceAll(neutral(v.String()), "\n", " "), n)
}

// callNews tell the session of a call that it must answer.
func callNews(call *peer.ToolCall) news {
	args := jsonLine(call.Args, shownArgs)
	return news{
		kind: "tool_call", keep: true, data: true,
		text: fmt.Sprintf("[call] %q calls your tool %s of %s with %s: answer with mesh_tool_respond, call_id %s, within 30 s. Without a result it shows the whole call.",
			neutralLine(call.Caller, nameLen), neutralLine(call.Tool, wire.MaxToolName), neutralLine(call.Server, nameLen), args, attribute(call.ID)),
		meta: map[string]string{"call_id": attribute(call.ID), "server": attribute(call.Server), "tool": attribute(call.Tool), "caller": attribute(call.Caller)},
	}
}

// serverLine says in a line what happened to a tool server.
func serverLine(p *wire.Push) string {
	var e wire.MCPEvent
	if wire.Decode(p.EventData, &e) != nil {
		return ""
	}
	name, host := neutralLine(e.ServerName, nameLen), neutralLine(e.HostedBy, nameLen)
	switch p.Event {
	case wire.EventMCPRegistered:
		return fmt.Sprintf("[system] %q lends the tool server %q (%s). Tools, for mesh_tool_call: %s", host, name, neutralLine(e.Description, 150), neutralLine(strings.Join(e.Tools, ", "), 200))
	case wire.EventMCPOffline:
		return fmt.Sprintf("[system] The tool server %q is offline: its host %q left", name, host)
	case wire.EventMCPRestored:
		return fmt.Sprintf("[system] The tool server %q is back, hosted by %q", name, host)
	}
	return fmt.Sprintf("[system] The tool server %q of %q is gone", name, host)
}

// newLender makes the servers that the user lends to a mesh. A server whose
// tools change is named on stale, which is not waited for.
func (h *hub) newLender(meshID string, stale chan<- string) *lend.Lender {
	return lend.New(func(name string) (peer.ToolServer, bool, error) {
		conf, err := peer.LoadConfig(h.dir)
		if err != nil {
			return peer.ToolServer{}, false, err
		}
		return conf.ToolServer(meshID, name)
	}, h.log, func(name string) {
		select {
		case stale <- name:
		default: // as many are about to be asked
		}
	})
}

// reoffer tells the mesh of the tools of servers that have changed them, until
// ctx ends.
func (h *hub) reoffer(ctx context.Context, m *mesh) {
	for {
		select {
		case name := <-m.stale:
			if err := m.reoffer(ctx, name); err != nil && ctx.Err() == nil {
				h.log.Warn("changed tools not registered", "mesh", m.slug, "server", name, "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (m *mesh) reoffer(ctx context.Context, name string) error {
	reg, ok := m.client.Registered(name)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reofferFor)
	defer cancel()
	tools, err := m.lender.Tools(ctx, name)
	if err != nil {
		return err
	}
	reg.Tools = tools
	_, err = m.client.RegisterServer(ctx, reg)
	return err
}

// passOn is the result of a peer's tool for the host, whole but for what could
// pass for the host's own words. The note on it and the digest of mail stand at
// its end.
func (r *reply) passOn(digest string) *mcp.CallToolResult {
	raw := json.RawMessage(neutralJSON(r.passed))
	res, err := mcp.ParseCallToolResult(&raw)
	if err != nil {
		res = mcp.NewToolResultText(neutral(plainText(r.passed)))
	}
	res.Meta, res.InputRequests, res.RequestState = nil, nil, "" // are for a host that asked the server itself
	res.Content = append(res.Content, mcp.NewTextContent(r.text))
	if digest != "" {
		res.Content = append(res.Content, mcp.NewTextContent(digest))
	}
	if m, ok := res.StructuredContent.(map[string]any); ok && digest != "" {
		m["unseenMail"] = digest // some hosts show a model nothing else
		res.RawStructuredContent = nil
	}
	return res
}

// plainText is what a host of an older version gave: a text, or JSON.
func plainText(v wire.Value) string {
	var text string
	if len(v) > 0 && json.Unmarshal(v, &text) == nil {
		return text
	}
	return v.String()
}
