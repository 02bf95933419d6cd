package toolserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/wire"
)

const maxToolPages = 20 // of tools/list

// Options say who hears of a server besides its answers.
type Options struct {
	Log *slog.Logger // required; when a program starts and ends
	// Changed, unless nil, is called when the server says that its tools are
	// others now. It must not wait, nor ask the server.
	Changed func()
	// Stdout, unless nil, gets the lines of a program's standard output that are
	// no messages, each in a Write of its own; Stderr its standard error as it
	// comes. A Write must not fail, and the program waits for it.
	Stdout, Stderr io.Writer
	// Patience is how long a program may take to end after SIGTERM. Without it
	// one that has not ended soon after its input did is killed at once.
	Patience time.Duration
	// After, unless nil, is called once a program has ended, before anybody is told
	// of it. Its error is how the program did, if that is known better than from its
	// exit status.
	After func() error
}

// A Server is an MCP server that runs, as a program or behind a URL. It is safe
// for concurrent use. Who has started it closes it.
type Server struct {
	client  *client.Client
	wire    transport.Interface
	process *process // nil for a URL
	ids     atomic.Int64
}

// Start starts a program, whose standard input, output and error must not be
// set. It must lead a process group: see Apart. Nothing is said to it yet: Greet
// it. ctx is that of its notifications; it does not end the program.
func Start(ctx context.Context, cmd *exec.Cmd, opts Options) (*Server, error) {
	p, err := startProcess(cmd, opts)
	if err != nil {
		return nil, err
	}
	return open(ctx, &Server{process: p, wire: transport.NewIO(p.messages, p.in, noLog{})}, opts)
}

// Dial prepares for the server at a URL, which is sent the headers with every
// request. Nothing is said to it yet: Greet it.
func Dial(ctx context.Context, url string, headers map[string]string, opts Options) (*Server, error) {
	t, err := overHTTP(url, headers)
	if err != nil {
		return nil, err
	}
	return open(ctx, &Server{wire: t}, opts)
}

func open(ctx context.Context, s *Server, opts Options) (*Server, error) {
	s.client = client.NewClient(s.wire)
	if err := s.client.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	s.client.OnNotification(func(n mcp.JSONRPCNotification) {
		if opts.Changed != nil && n.Method == mcp.MethodNotificationToolsListChanged {
			opts.Changed()
		}
	})
	return s, nil
}

// Greet makes the handshake, which is the first thing that a server is sent. The
// revisions of MCP after it has gone are not asked for: what a server answers
// must be the same for every caller.
func (s *Server) Greet(ctx context.Context) error {
	var req mcp.InitializeRequest
	req.Params.ProtocolVersion = mcp.LATEST_LEGACY_PROTOCOL_VERSION
	req.Params.ClientInfo = mcp.Implementation{Name: "claudemesh", Version: "1"}
	_, err := s.client.Initialize(ctx, req)
	return s.because(err)
}

// Done is closed when a program has ended; for a URL it is nil.
func (s *Server) Done() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.done
}

// Ended reports whether a program has ended. What is behind a URL never has.
func (s *Server) Ended() bool { return s.process != nil && s.process.ended() }

// Why says for people how a program that has ended did: an Ending, unless it was
// ended for what it did.
func (s *Server) Why() error {
	if s.process == nil {
		return errors.New("its URL did not answer")
	}
	return s.process.failure()
}

// because is err, or why the process has ended if that is the reason.
func (s *Server) because(err error) error {
	if s.process == nil || err == nil {
		return err
	}
	for _, gone := range []error{transport.ErrTransportClosed, os.ErrClosed, os.ErrDeadlineExceeded, syscall.EPIPE} {
		if errors.Is(err, gone) {
			s.process.end()
			return s.process.failure()
		}
	}
	return err
}

// Close ends a program with all that is in its group, and waits for it, for
// 300 ms and Options.Patience at most; for 3 s more where what has left its group
// holds its standard error. Calls that wait fail. What is behind a URL is left.
func (s *Server) Close() {
	if s.client != nil {
		s.client.Close()
	}
	if s.process != nil {
		s.process.end()
	}
}

// request sends a request and returns its answer, which may be an error.
func (s *Server) request(ctx context.Context, method string, params any) (*transport.JSONRPCResponse, error) {
	id := mcp.NewRequestId("claudemesh-" + strconv.FormatInt(s.ids.Add(1), 10))
	res, err := s.wire.SendRequest(ctx, transport.JSONRPCRequest{JSONRPC: mcp.JSONRPC_VERSION, ID: id, Method: method, Params: params})
	switch {
	case err != nil && ctx.Err() != nil:
		s.cancelled(id)
		return nil, ctx.Err()
	case err != nil:
		return nil, s.because(err)
	}
	return res, nil
}

// ask sends a request and returns its result as the server wrote it, which the
// types of mcp-go would cut down to what they know.
func (s *Server) ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	res, err := s.request(ctx, method, params)
	switch {
	case err != nil:
		return nil, err
	case res.Error != nil:
		return nil, fmt.Errorf("%s (%d)", wire.Shorten(res.Error.Message, 500), res.Error.Code)
	}
	return res.Result, nil
}

// cancelled tells a process that nobody waits for an answer any more. One that
// does not read is ended: nobody could call it again.
func (s *Server) cancelled(id mcp.RequestId) {
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

// Ping asks whether the server is there. Whatever it answers, even that it knows
// no ping, it is.
func (s *Server) Ping(ctx context.Context) error {
	_, err := s.request(ctx, string(mcp.MethodPing), nil)
	return err
}

// Tools lists the tools, all pages of them. A list that goes on past
// wire.MaxServerTools is cut somewhere behind that: the caller checks how many
// there are, and what is in them.
func (s *Server) Tools(ctx context.Context) ([]wire.MCPTool, error) {
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

// Call calls a tool with an object of arguments, none if it is empty, and returns
// the whole result, at most wire.MaxCallResult bytes. A tool that says itself that
// it failed has a result.
func (s *Server) Call(ctx context.Context, tool string, args wire.Value) (wire.Value, error) {
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
