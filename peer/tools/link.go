package tools

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const (
	maxLine  = 4 << 20 // of one message from the host
	maxCalls = 32      // requests at once that may wait for a broker or for mail
)

// A link is the MCP connection to the host program. mcp-go's own one for stdio
// keeps its session in a global, does not tell when an answer was written, and
// lets five waiting calls hold up all others.
type link struct {
	mcp         *server.MCPServer
	offers      *offers
	more        toolSource // nil without
	log         *slog.Logger
	answered    chan struct{} // closed when the first message of the host was dealt with
	initialized chan struct{} // closed when the host says so
	tools       sync.WaitGroup

	outMu sync.Mutex
	out   io.Writer

	mu    sync.Mutex
	ready bool                          // initialized is closed
	calls map[string]context.CancelFunc // by the JSON of their id
}

// A toolSource has tools besides those of the table, which come and go. It tells
// the host of that itself.
type toolSource interface {
	// has reports whether a call of that name is for it, whether or not there is
	// such a tool now.
	has(name string) bool
	// list may wait, if waits says so.
	list(ctx context.Context) []mcp.Tool
	waits() bool
	// call calls a tool. Its failures are results too.
	call(ctx context.Context, name string) *mcp.CallToolResult
}

func newLink(m *server.MCPServer, offers *offers, out io.Writer, log *slog.Logger) *link {
	return &link{mcp: m, offers: offers, out: out, log: log, answered: make(chan struct{}), initialized: make(chan struct{}), calls: make(map[string]context.CancelFunc)}
}

// serve answers the host until in ends, which is nil, or ctx does. The calls
// under way are cancelled then and have no answer.
func (l *link) serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx = l.mcp.WithContext(ctx, &session{})
	// The host refuses notifications of channels under later revisions, which
	// have no path for what nobody asked for.
	ctx = server.WithSupportedProtocolVersions(ctx, mcp.LegacyProtocolVersions())
	ended := make(chan error, 1)
	// A read of standard input cannot be interrupted: the reader ends with the
	// process, or with in.
	go func() { ended <- l.read(ctx, in) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	cancel()
	l.waitForCalls()
	return err
}

// waitForCalls waits for cancelled calls, but not for a host that does not read.
func (l *link) waitForCalls() {
	done := make(chan struct{})
	go func() { l.tools.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(closeTime):
	}
}

func (l *link) read(ctx context.Context, in io.Reader) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	first := sync.OnceFunc(func() { close(l.answered) })
	defer first()
	for ctx.Err() == nil {
		line, err := readLine(lines)
		if len(line) > 0 {
			l.handle(ctx, line)
			first()
		}
		switch {
		case errors.Is(err, errLongLine):
			l.write(mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INVALID_REQUEST, err.Error(), nil))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read from the host: %w", err)
		}
	}
	return nil
}

var errLongLine = fmt.Errorf("a message has more than %d bytes", maxLine)

// readLine returns the next line. One that is too long is passed over.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			line = append(line[:0], make([]byte, maxLine)...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) >= maxLine && err == nil {
			return nil, errLongLine
		}
		return line, err
	}
}

// incoming is what the link must know of a message itself.
type incoming struct {
	Method string          `json:"method"`
	ID     json.RawMessage `json:"id"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"` // of what is cancelled
		Name      json.RawMessage `json:"name"`      // of a tool
		Arguments json.RawMessage `json:"arguments"` // of a tool
		Meta      struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

// handle answers one message. All but what may ask a broker is answered before
// the next line is read.
func (l *link) handle(ctx context.Context, line []byte) {
	var in incoming
	if err := json.Unmarshal(line, &in); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			l.write(mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.PARSE_ERROR, "this is not JSON", nil))
			return
		}
		in = incoming{} // mcp-go says what is wrong with it
	}
	hasID := len(in.ID) > 0 && string(in.ID) != "null"
	switch {
	case hasID && (in.Method == "tools/call" || offered(in.Method) || in.Method == "tools/list" && l.more != nil && l.more.waits()):
		ctx = context.WithValue(ctx, argumentsKey{}, in.Params.Arguments)
		if token := in.Params.Meta.ProgressToken; isProgressToken(token) {
			ctx = context.WithValue(ctx, progressKey{}, &progress{link: l, token: token})
		}
		l.call(ctx, string(in.ID), &in, line)
		return
	case in.Method == "notifications/cancelled":
		l.cancelCall(string(in.Params.RequestID))
		return
	case in.Method == "server/discover" && hasID:
		// It belongs to the later revisions, and the host waits for its refusal.
		l.write(mcp.NewJSONRPCError(mcp.NewRequestId(in.ID), mcp.METHOD_NOT_FOUND, "server/discover is not offered: use initialize", nil))
		return
	}
	if answer := l.mcp.HandleMessage(ctx, line); answer != nil {
		l.write(l.withMore(ctx, answer))
	}
	if in.Method == "notifications/initialized" {
		l.begun()
	}
}

// argumentsKey is that of a tool's arguments as the host wrote them, in the
// context of the call: mcp-go decodes numbers to 53 bits.
type argumentsKey struct{}

// argumentsOf returns the arguments of the call of ctx.
func argumentsOf(ctx context.Context) json.RawMessage {
	args, _ := ctx.Value(argumentsKey{}).(json.RawMessage)
	return args
}

// A response is an answer that mcp-go does not give.
type response struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

func (l *link) begun() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		l.ready = true
		close(l.initialized)
	}
}

// call answers a request beside the reader.
func (l *link) call(ctx context.Context, id string, in *incoming, line []byte) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	_, taken := l.calls[id]
	full := len(l.calls) >= maxCalls
	if !taken && !full {
		l.calls[id] = cancel
	}
	l.mu.Unlock()
	if taken || full {
		cancel()
		why := fmt.Sprintf("%d calls are under way: wait for some to finish", maxCalls)
		if taken {
			why = "a call with this id is under way"
		}
		l.write(mcp.NewJSONRPCError(mcp.NewRequestId(json.RawMessage(id)), mcp.INVALID_REQUEST, why, nil))
		return
	}
	l.tools.Go(func() {
		defer cancel()
		w := new(written)
		answer := l.answer(context.WithValue(ctx, writtenKey{}, w), id, in, line)
		l.mu.Lock()
		delete(l.calls, id) // the host may use the id again once it has the answer
		l.mu.Unlock()
		if answer == nil || ctx.Err() != nil {
			return // a cancelled call has no answer
		}
		if l.write(answer) == nil {
			for _, f := range w.then {
				f()
			}
		}
	})
}

// answer runs a tool, or lists or reads what else is offered.
func (l *link) answer(ctx context.Context, id string, in *incoming, line []byte) any {
	var tool string
	switch {
	case offered(in.Method):
	case in.Method == "tools/call" && l.more != nil && json.Unmarshal(in.Params.Name, &tool) == nil && l.more.has(tool):
		return response{mcp.JSONRPC_VERSION, json.RawMessage(id), l.more.call(ctx, tool)}
	default:
		return l.withMore(ctx, l.mcp.HandleMessage(ctx, line))
	}
	result, code, err := l.offers.answer(ctx, in.Method, line)
	if err != nil {
		return mcp.NewJSONRPCError(mcp.NewRequestId(json.RawMessage(id)), code, err.Error(), nil)
	}
	return response{mcp.JSONRPC_VERSION, json.RawMessage(id), result}
}

// withMore adds to a list of tools those that come and go. mcp-go does not know
// of them, for it ends the program over a definition that it does not like, and
// these are a peer's.
func (l *link) withMore(ctx context.Context, answer mcp.JSONRPCMessage) any {
	res, ok := answer.(mcp.JSONRPCResponse)
	if !ok || l.more == nil {
		return answer
	}
	list, ok := res.Result.(mcp.ListToolsResult)
	if !ok {
		return answer
	}
	list.Tools = append(slices.Clone(list.Tools), l.more.list(ctx)...)
	if list.Tools == nil {
		list.Tools = []mcp.Tool{}
	}
	res.Result = list
	return res
}

func (l *link) cancelCall(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cancel := l.calls[id]; cancel != nil {
		cancel()
	}
}

// written is what a call does once its answer was written. It belongs to one
// call, which is why it travels with its context.
type written struct{ then []func() }

type writtenKey struct{}

// onceWritten has f run when the answer of the call of ctx was written, and not
// if it never is.
func onceWritten(ctx context.Context, f func()) {
	if w, ok := ctx.Value(writtenKey{}).(*written); ok {
		w.then = append(w.then, f)
	}
}

// notify sends a notification to the host.
func (l *link) notify(method string, params any) error {
	return l.write(struct {
		JSONRPC string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{mcp.JSONRPC_VERSION, method, params})
}

// write writes one message as a line.
func (l *link) write(message any) error {
	p, err := json.Marshal(message)
	if err != nil {
		l.log.Error("answer not encoded", "err", err)
		return err
	}
	l.outMu.Lock()
	defer l.outMu.Unlock()
	_, err = l.out.Write(append(p, '\n'))
	return err
}

// A session is what mcp-go wants to know of the one client.
type session struct{ ready atomic.Bool }

func (s *session) Initialize()       { s.ready.Store(true) }
func (s *session) Initialized() bool { return s.ready.Load() }
func (s *session) SessionID() string { return "stdio" }

// NotificationChannel is not used: notifications are written by the link.
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification { return nil }
