package tools

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"claudemesh/peer"
)

// Name is what the server is called: the host's name for its channel must be
// the same.
const Name = "claudemesh"

// headStart is how long the connections wait for a host that says nothing.
const headStart = 100 * time.Millisecond

// loadTime is how long a call waits for the configuration to be read.
const loadTime = 2 * time.Second

// Options are what a server is started with.
type Options struct {
	// Stdin and Stdout carry MCP, one message on a line, and nothing else.
	Stdin  io.Reader
	Stdout io.Writer
	Getenv func(string) string
	// ConfigDir is the configuration directory: see peer.ConfigDir.
	ConfigDir string
	Version   string
	// Tools chooses what is listed: all or empty, core, or names with commas.
	Tools string
	// Logger takes what is of use to whoever looks for a fault; nil discards.
	Logger *slog.Logger
}

// Serve is the MCP server of a session. It answers the handshake and the list
// of tools at once and connects behind them. It returns when Stdin or ctx ends,
// which is nil; everything else that goes wrong is told to the host, so that
// the session goes on with what works.
func Serve(ctx context.Context, o Options) error {
	listed, err := chosen(o.Tools)
	if err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := peer.LoadConfig(o.ConfigDir)
	if err != nil {
		o.Logger.Warn("no configuration", "err", err)
		c = new(peer.Config) // the tools say what is wrong with it
	}
	who := identify(hostEnv(o.Getenv), c)
	h := newHub(who, o.ConfigDir, o.Logger)
	h.post.wasPrompted(promptedIDs(o.Getenv))
	h.svc.chosen, h.svc.native = svcChosen(o.Tools), nativeServices(hostEnv(o.Getenv))
	offers := &offers{hub: h, all: providers()}
	l := newLink(newServer(h, listed, offers, o.Version), offers, o.Stdout, o.Logger)
	l.more = h.svc
	h.ways = &ways{hub: h, link: l, channel: newChannel(o.Getenv, commandLine(os.Getppid())), native: newNative(o.Getenv)}

	ctx, cancel := context.WithCancel(ctx)
	var behind sync.WaitGroup
	behind.Go(func() {
		// The host waits for its first answer, and for nothing that comes later.
		select {
		case <-l.answered:
		case <-time.After(headStart):
		case <-ctx.Done():
		}
		run(ctx, h)
	})
	err = l.serve(ctx, o.Stdin)
	cancel()
	behind.Wait()
	return err
}

// run does all that goes on beside the answers to the host until ctx ends.
func run(ctx context.Context, h *hub) {
	hooks := &inside{hub: h, ways: h.ways}
	stop := hooks.listen(ctx)
	defer stop()
	h.reload(ctx)
	close(h.loaded)
	var tasks sync.WaitGroup
	tasks.Go(func() { h.watch(ctx) })
	tasks.Go(func() { h.ways.push(ctx) })
	tasks.Go(func() { h.tellCounts(ctx) })
	tasks.Go(func() { h.ways.welcome(ctx) })
	tasks.Go(func() { h.reportStats(ctx) })
	tasks.Go(func() { h.transcribe(ctx, h.who.transcripts) })
	tasks.Go(func() { h.pruneKeys(ctx) })
	tasks.Wait()
	h.close(ctx)
}

// newServer returns mcp-go's part: the handshake and the calls of tools. The
// link answers for the offers, which are not known when the server starts.
func newServer(h *hub, listed []tool, offers *offers, version string) *server.MCPServer {
	options := []server.ServerOption{
		server.WithInstructions(instructions(&h.who, listed)),
		server.WithToolCapabilities(true),
		server.WithExperimental(map[string]any{"claude/channel": map[string]any{}}),
		server.WithRecovery(),
	}
	if len(offers.all) > 0 {
		options = append(options, server.WithPromptCapabilities(true), server.WithResourceCapabilities(false, true))
	}
	m := server.NewMCPServer(Name, version, options...)
	for _, t := range listed {
		m.AddTool(t.listed(), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return h.call(ctx, &t), nil
		})
	}
	return m
}

// call runs a tool. Its failures are results too, for the model to read.
func (h *hub) call(ctx context.Context, t *tool) *mcp.CallToolResult {
	h.calls.Add(1)
	h.post.begun() // a model that calls tools has a turn
	// Before that there seems to be no mesh.
	select {
	case <-h.loaded:
	case <-time.After(loadTime):
	case <-ctx.Done():
	}
	r, err := t.call(ctx, h, argumentsOf(ctx))
	if err != nil {
		r = reply{data: map[string]any{"error": neutral(err.Error())}, text: neutral(err.Error()), failed: true}
	}
	if r.failed {
		h.faults.Add(1)
	}
	return r.result(h.digest(ctx, t))
}

// digest is what stands at the end of a result about mail that the model has
// not seen. It tells a model without hooks and channels of its mail.
func (h *hub) digest(ctx context.Context, t *tool) string {
	if h.post.currentMode() == "off" || t.name == "check_messages" {
		return ""
	}
	a := h.post.take(peer.MailRequest{Way: peer.WayDigest, MaxBytes: 1500})
	if a.Text != "" {
		onceWritten(ctx, func() { h.post.shown(peer.WayDigest, ids(a.Records)) })
	}
	return a.Text
}
