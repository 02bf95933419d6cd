package peer

import (
	"context"
	"errors"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	// toolTimeout leaves the broker time to say that a host did not answer.
	toolTimeout  = wire.CallDeadline + 5*time.Second
	maxToolCalls = 16 // of other members that are under way at once
)

// A ToolCall is a call of a tool of a server that this session hosts.
type ToolCall struct {
	ID        string // of the call
	Server    string
	Tool      string
	Args      wire.Value // an object
	Caller    string     // display name
	CallerKey string     // address; empty from an older broker
}

// A toolHost answers the calls of other members beside the reader of the
// connection.
type toolHost struct {
	workers sync.WaitGroup
	stop    chan struct{} // closed when the client ends

	mu      sync.Mutex
	running int
	servers map[string]wire.MCPRegister // registered by this client, by name
}

// ErrToolCall is the root of what a call of a tool gave as a reason instead of
// a result. The text after it is the broker's or the host's.
var ErrToolCall = errors.New("the call failed")

// CallTool calls a tool of a server of the mesh and returns the result as the
// server gave it: an object with content, structuredContent and isError, or
// any JSON from a host of an older version; nil if it gave nothing. It waits as
// long as the broker does, unless ctx ends first.
func (c *Client) CallTool(ctx context.Context, server, tool string, args wire.Value) (wire.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	res, err := Call(ctx, c, wire.MCPCall{ServerName: server, ToolName: tool, Args: args})
	if err == nil && res.Error != "" {
		err = &toolError{wire.Shorten(res.Error, wire.MaxCallError)}
	}
	return res.Result, err
}

// A toolError is an ErrToolCall whose text is the reason alone.
type toolError struct{ why string }

func (e *toolError) Error() string { return e.why }
func (e *toolError) Unwrap() error { return ErrToolCall }

// ToolServers lists the servers that sessions of the mesh host, all pages of
// them, or, in full, the one with that name; none is an empty list.
func (c *Client) ToolServers(ctx context.Context, name string) ([]wire.MCPServer, error) {
	req := wire.MCPList{ServerName: name}
	all := []wire.MCPServer{}
	for {
		res, err := Call(ctx, c, req)
		if err != nil {
			return nil, err
		}
		all = append(all, res.Servers...)
		if !res.More || len(res.Servers) == 0 {
			return all, nil
		}
		req.After = res.Servers[len(res.Servers)-1].Name
	}
}

// RegisterServer offers a server whose calls come to Options.ToolCall, now and
// after each lost connection.
func (c *Client) RegisterServer(ctx context.Context, reg wire.MCPRegister) (wire.MCPRegisterAck, error) {
	h := &c.hosted
	h.mu.Lock()
	old, had := h.servers[reg.ServerName]
	if h.servers == nil {
		h.servers = make(map[string]wire.MCPRegister)
	}
	h.servers[reg.ServerName] = reg
	h.mu.Unlock()
	ack, err := Call(ctx, c, reg)
	if _, refused := errors.AsType[*wire.Error](err); refused {
		h.mu.Lock()
		delete(h.servers, reg.ServerName)
		if had {
			h.servers[reg.ServerName] = old
		}
		h.mu.Unlock()
	}
	return ack, err
}

// Registered returns what this client has registered under that name, and
// whether there is anything.
func (c *Client) Registered(name string) (wire.MCPRegister, bool) {
	c.hosted.mu.Lock()
	defer c.hosted.mu.Unlock()
	reg, ok := c.hosted.servers[name]
	return reg, ok
}

// RemoveServer ends a registration, of this session or another of the member.
func (c *Client) RemoveServer(ctx context.Context, name string) error {
	c.hosted.mu.Lock()
	delete(c.hosted.servers, name)
	c.hosted.mu.Unlock()
	_, err := Call(ctx, c, wire.MCPUnregister{ServerName: name})
	return err
}

// registerAgain offers what the client has registered on a new connection.
func (c *Client) registerAgain(ctx context.Context) {
	c.hosted.mu.Lock()
	var all []wire.MCPRegister
	for _, reg := range c.hosted.servers {
		all = append(all, reg)
	}
	c.hosted.mu.Unlock()
	for _, reg := range all {
		if _, err := Call(ctx, c, reg); err != nil && ctx.Err() == nil {
			c.log.Warn("tool server not registered again", "server", reg.ServerName, "err", err)
		}
	}
}

// end waits for the calls under way, which are cancelled.
func (h *toolHost) end() {
	close(h.stop)
	h.workers.Wait()
}

// admit counts a call and reports whether there is room for it.
func (h *toolHost) admit() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running >= maxToolCalls {
		return false
	}
	h.running++
	return true
}

func (h *toolHost) finished() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
}

// toolCalled has a call answered by Options.ToolCall.
func (c *Client) toolCalled(f *wire.MCPCallForward) {
	h := &c.hosted
	switch {
	case c.opts.ToolCall == nil:
		c.answerTool(f.CallID, nil, errors.New("this session hosts no tool servers"))
		return
	case !h.admit():
		c.answerTool(f.CallID, nil, errors.New("the host is busy with other calls: try again in a moment"))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), wire.CallDeadline)
	h.workers.Go(func() {
		select {
		case <-h.stop:
		case <-ctx.Done():
		}
		cancel()
	})
	h.workers.Go(func() {
		defer h.finished()
		defer cancel()
		result, err := c.opts.ToolCall(ctx, ToolCall{
			ID: f.CallID, Server: f.ServerName, Tool: f.ToolName, Args: f.Args, Caller: f.CallerName, CallerKey: f.CallerPubkey,
		})
		c.answerTool(f.CallID, result, err)
	})
}

// answerTool answers a call. What does not fit a frame is answered by that.
func (c *Client) answerTool(id string, result wire.Value, err error) {
	res := wire.MCPCallResponse{CallID: id, Result: result}
	switch {
	case err != nil:
		res.Result, res.Error = nil, wire.Shorten(err.Error(), wire.MaxCallError)
	case len(result) > wire.MaxCallResult:
		res.Result, res.Error = nil, "the result is too large for the mesh: ask for less"
	}
	if !c.respond("", res) {
		c.respond("", wire.MCPCallResponse{CallID: id, Error: "the host's connection is too slow for the result: try again in a moment"})
	}
}
