package lend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/peer"
	"claudemesh/wire"
)

const maxToolPages = 20 // of tools/list

// A server is an MCP server that runs, as a process or behind a URL.
type server struct {
	client  *client.Client
	wire    transport.Interface
	process *process // nil for a URL
	ids     atomic.Int64
}

// open starts the process of a server, or prepares for its URL. Nothing is said
// to it yet.
func open(ctx context.Context, from peer.ToolServer, log *slog.Logger, changed func()) (*server, error) {
	s := new(server)
	if from.URL != "" {
		t, err := overHTTP(from)
		if err != nil {
			return nil, err
		}
		s.wire = t
	} else {
		p, err := startProcess(from, log)
		if err != nil {
			return nil, err
		}
		s.process, s.wire = p, transport.NewIO(p.out, p.in, noLog{})
	}
	s.client = client.NewClient(s.wire)
	if err := s.client.Start(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.client.OnNotification(func(n mcp.JSONRPCNotification) {
		if changed != nil && n.Method == mcp.MethodNotificationToolsListChanged {
			changed()
		}
	})
	return s, nil
}

// greet makes the handshake. The revisions of MCP after it has gone are not
// asked for: what a server answers must be the same for every caller.
func (s *server) greet(ctx context.Context) error {
	var req mcp.InitializeRequest
	req.Params.ProtocolVersion = mcp.LATEST_LEGACY_PROTOCOL_VERSION
	req.Params.ClientInfo = mcp.Implementation{Name: "claudemesh", Version: "1"}
	_, err := s.client.Initialize(ctx, req)
	return err
}

// ended reports whether a process has ended.
func (s *server) ended() bool { return s.process != nil && s.process.ended() }

// why says how a process ended.
func (s *server) why() error {
	if s.process == nil {
		return errors.New("its URL did not answer")
	}
	return s.process.failure()
}

// because is err, or why the process has ended if that is the reason.
func (s *server) because(err error) error {
	if err != nil && errors.Is(err, transport.ErrTransportClosed) && s.process != nil {
		s.process.end()
		return s.process.failure()
	}
	return err
}

func (s *server) close() {
	if s.client != nil {
		s.client.Close()
	}
	if s.process != nil {
		s.process.end()
	}
}

// ask sends a request and returns its result as the server wrote it, which the
// types of mcp-go would cut down to what they know.
func (s *server) ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	id := mcp.NewRequestId("lend-" + strconv.FormatInt(s.ids.Add(1), 10))
	res, err := s.wire.SendRequest(ctx, transport.JSONRPCRequest{JSONRPC: mcp.JSONRPC_VERSION, ID: id, Method: method, Params: params})
	switch {
	case err != nil && ctx.Err() != nil:
		s.cancelled(id)
		return nil, ctx.Err()
	case err != nil:
		return nil, s.because(err)
	case res.Error != nil:
		return nil, fmt.Errorf("%s (%d)", wire.Shorten(res.Error.Message, 500), res.Error.Code)
	}
	return res.Result, nil
}

// cancelled tells a process that nobody waits for an answer any more. One that
// does not read is ended: nobody could call it again.
func (s *server) cancelled(id mcp.RequestId) {
	if s.process == nil {
		return
	}
	err := s.wire.SendNotification(context.Background(), mcp.JSONRPCNotification{
		JSONRPC: mcp.JSONRPC_VERSION,
		Notification: mcp.Notification{
			Method: string(mcp.MethodNotificationCancelled),
			Params: mcp.NotificationParams{AdditionalFields: map[string]any{"requestId": id, "reason": "timeout"}},
		},
	})
	if err != nil {
		s.process.end()
	}
}

// tools lists the tools, all pages of them.
func (s *server) tools(ctx context.Context) ([]wire.MCPTool, error) {
	all := []wire.MCPTool{}
	params := map[string]any{}
	for range maxToolPages {
		p, err := s.ask(ctx, string(mcp.MethodToolsList), params)
		if err != nil {
			return nil, fmt.Errorf("list the tools: %w", err)
		}
		var page struct {
			Tools      []wire.MCPTool `json:"tools"`
			NextCursor string         `json:"nextCursor"`
		}
		if err := json.Unmarshal(p, &page); err != nil {
			return nil, fmt.Errorf("list the tools: the server's answer is not understood: %w", err)
		}
		all = append(all, page.Tools...)
		if page.NextCursor == "" || len(all) > wire.MaxServerTools {
			break
		}
		params["cursor"] = page.NextCursor
	}
	return all, nil
}

// call calls a tool.
func (s *server) call(ctx context.Context, tool string, args wire.Value) (wire.Value, error) {
	if len(args) == 0 {
		args = wire.Value("{}")
	}
	p, err := s.ask(ctx, string(mcp.MethodToolsCall), map[string]any{"name": tool, "arguments": json.RawMessage(args)})
	if err != nil {
		return nil, err
	}
	var result wire.Value
	if err := json.Unmarshal(p, &result); err != nil {
		return nil, errors.New("the server's answer is not understood")
	}
	if len(result) > wire.MaxCallResult {
		return nil, fmt.Errorf("the result has %d bytes, and %d are the most: ask for less", len(result), wire.MaxCallResult)
	}
	return result, nil
}
