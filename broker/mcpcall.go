package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A serverKind calls a tool of the server of that name if there is one of its
// kind, and reports whether there is. It answers the call itself, at once or
// later; an error is answered for it.
type serverKind func(m *mesh, c *call, req *wire.MCPCall) (found bool, err error)

// serverKinds are the kinds of tool servers, in the order in which a name is
// looked for. No two servers have one name, whatever their kinds.
func serverKinds() []serverKind {
	return []serverKind{
		(*mesh).callDeployed,
		(*mesh).callHosted,
	}
}

// mcpCall answers every call with a result frame: what keeps a tool from being
// called is an error in it.
func (m *mesh) mcpCall(c *call, req wire.MCPCall) error {
	if err := m.callTool(c, &req); err != nil {
		c.reply(c.head.ReqID, callFailed(c.srv.report(c.head, err).Message))
	}
	return nil
}

func (m *mesh) callTool(c *call, req *wire.MCPCall) error {
	switch {
	case len(req.Args) == 0 || string(req.Args) == "null":
		req.Args = wire.Value("{}")
	case req.Args[0] != '{':
		return wire.Errorf(wire.BadRequest, "args must be an object with an entry for each argument of the tool")
	}
	if err := checkName("tool", req.ToolName, wire.MaxToolName); err != nil {
		return err
	}
	for _, call := range serverKinds() {
		if found, err := call(m, c, req); found || err != nil {
			return err
		}
	}
	return wire.Errorf(wire.NotFound, "MCP server %q not found in the mesh", wire.Shorten(req.ServerName, 64))
}

// callHosted hands a call to the session that hosts the server.
func (m *mesh) callHosted(c *call, req *wire.MCPCall) (found bool, err error) {
	var row *store.MCPServer
	err = m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		row, err = rx.MCPHost(req.ServerName)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	to, err := m.hostOf(row)
	if err != nil {
		return true, err
	}
	return true, m.forward(&relay{
		from: c.conn, reqID: c.head.ReqID, to: to, answers: (wire.MCPCallResponse{}).FrameType(),
		fail: callFailed, within: wire.CallDeadline, late: "MCP call timed out (30s)",
		gone: fmt.Sprintf("the host of MCP server %q, %s, disconnected during the call: whether the tool ran is not known", row.Name, row.HostName),
	}, func(id string) (string, wire.Frame) {
		return "", wire.MCPCallForward{CallID: id, ServerName: row.Name, ToolName: req.ToolName, Args: req.Args,
			CallerName: c.session.author(), CallerPubkey: c.session.key}
	})
}

// hostOf returns the connection of the session that hosts a server.
func (m *mesh) hostOf(row *store.MCPServer) (*conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := row.Offline
	if host := m.sessions[row.Host]; host != nil && since.IsZero() {
		if host.conn != nil {
			return host.conn, nil
		}
		since = host.goneAt
	}
	if since.IsZero() {
		return nil, wire.Errorf(wire.NotFound, "the host of MCP server %q disconnected: look for the server again in a moment", row.Name)
	}
	return nil, wire.Errorf(wire.NotFound, "MCP server %q is offline: its host %s left %s, and it is back when the host is",
		row.Name, row.HostName, ago(time.Since(since)))
}

// ago says how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%dh ago", int(d.Hours()))
}

// callFailed is the answer to a call without a result.
func callFailed(why string) wire.Frame { return wire.MCPCallResult{Error: why} }

func (m *mesh) mcpCallResponse(c *call, res wire.MCPCallResponse) error {
	m.answerCalled(c, res.CallID, func(asked wire.Frame) wire.Frame {
		f := asked.(wire.MCPCallResult)
		f.Result, f.Error = res.Result, wire.Shorten(res.Error, wire.MaxCallError)
		return f
	})
	return nil
}
