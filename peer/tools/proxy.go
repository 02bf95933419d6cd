package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	proxyWait = 10 * time.Second // of a call for the connection
	listWait  = 5 * time.Second  // of a list for the first connection
)

// ProxyOptions are what a proxy is started with.
type ProxyOptions struct {
	// Stdin and Stdout carry MCP, one message on a line, and nothing else.
	Stdin     io.Reader
	Stdout    io.Writer
	Getenv    func(string) string
	ConfigDir string
	Version   string
	Service   string // its name
	// Mesh is the slug or id of its mesh; empty for the only one.
	Mesh string
	// Logger takes what is of use to whoever looks for a fault; nil discards.
	Logger *slog.Logger
}

// ServeService is the MCP server of one deployed service, so that a host has the
// service's tools under their own names. It answers the handshake at once and
// connects behind it, as part of the session it runs in and seen by nobody. It
// returns nil when Stdin or ctx ends, or when the service is undeployed, and an
// error when the broker refuses the connection or knows no such service.
func ServeService(ctx context.Context, o ProxyOptions) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if !wire.ValidServerName(o.Service) {
		return fmt.Errorf("%q is no name of a service", wire.Shorten(o.Service, 64))
	}
	opts, err := o.client()
	if err != nil {
		return err
	}
	p := &proxy{service: o.Service, slug: opts.Mesh.Slug, log: o.Logger, known: make(chan struct{})}
	m := server.NewMCPServer("mesh:"+o.Service, o.Version, server.WithToolCapabilities(true), server.WithRecovery(),
		server.WithInstructions(fmt.Sprintf("The tools of %s, a service that peers of the mesh %s share. It runs on the mesh's broker; what its tools say of themselves and give are words of a peer.", o.Service, p.slug)))
	p.link = newLink(m, new(offers), o.Stdout, o.Logger)
	p.link.more = p
	if p.client, err = peer.Start(ctx, opts); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	var fault error
	following.Go(func() {
		defer cancel()
		fault = p.follow(ctx)
	})
	err = p.link.serve(ctx, o.Stdin)
	cancel()
	following.Wait()
	closing, end := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer end()
	p.client.Close(closing) // nothing is left to be told
	return errors.Join(err, fault)
}

// client says who the proxy is: within a session what the session is, without
// its presence.
func (o *ProxyOptions) client() (opts peer.Options, err error) {
	c, err := peer.LoadConfig(o.ConfigDir)
	if err != nil {
		return opts, err
	}
	entry, err := c.Mesh(o.Mesh)
	if err != nil {
		return opts, err
	}
	opts = peer.Options{Mesh: *entry, Transient: true, PeerType: "connector", Channel: "mcp-service", PID: os.Getpid(), Logger: o.Logger}
	getenv := hostEnv(o.Getenv)
	opts.DisplayName = peer.DisplayName(getenv, c)
	if opts.SessionID = peer.HostSessionID(getenv); opts.SessionID != "" && len(opts.SessionID) <= wire.MaxSessionID {
		opts.SessionKey, err = c.SessionKeys().Key(entry.MeshID, opts.SessionID)
	}
	return opts, err
}

// A proxy is the tools of one service.
type proxy struct {
	service, slug string
	client        *peer.Client
	link          *link
	log           *slog.Logger
	known         chan struct{} // closed when the tools are known for the first time

	mu    sync.Mutex
	tools []wire.MCPTool
	found bool // known is closed
}

// follow keeps the tools up to date until the service is gone, the connection
// is lost for good, or ctx ends.
func (p *proxy) follow(ctx context.Context) error {
	for {
		changed, services := p.client.Changed(), p.client.ServicesChanged()
		switch s := p.client.Status(); {
		case ctx.Err() != nil:
			return nil
		case s.State == peer.StateClosed:
			return fmt.Errorf("%s: %w", p.slug, s.Err)
		case s.State == peer.StateOpen:
			if err := p.look(ctx); err != nil {
				return err
			}
		}
		select {
		case e, ok := <-p.client.Events():
			if ok && p.undeployed(&e) {
				p.log.Info("the service is gone", "service", p.service)
				return nil
			}
			if !ok { // Status says why
				<-changed
			}
		case <-changed:
		case <-services:
		case <-ctx.Done():
			return nil
		}
	}
}

// undeployed reports whether an event is the end of the service for this session.
func (p *proxy) undeployed(e *peer.Event) bool {
	push, ok := e.Frame.(wire.Push)
	var gone wire.MCPUndeployed
	return ok && push.Event == wire.EventMCPUndeployed && wire.Decode(push.EventData, &gone) == nil && gone.Name == p.service
}

// look takes the tools from what the broker has told, or asks for them. It fails
// if there is no such service.
func (p *proxy) look(ctx context.Context) error {
	all := p.client.Services()
	i := slices.IndexFunc(all, func(d wire.DeployedService) bool { return d.Name == p.service })
	if i >= 0 && !all[i].Cut {
		p.have(all[i].Tools)
		return nil
	}
	res, err := peer.Call(ctx, p.client, wire.MCPSchema{ServerName: p.service})
	if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code == wire.NotFound {
		return fmt.Errorf("%s: %w", p.slug, err)
	}
	if err != nil {
		p.log.Warn("the tools are not known", "service", p.service, "err", err)
		return nil
	}
	p.have(res.Tools)
	return nil
}

// have takes tools over and tells the host if they are others.
func (p *proxy) have(tools []wire.MCPTool) {
	p.mu.Lock()
	news := p.found && !reflect.DeepEqual(p.tools, tools)
	p.tools = tools
	if !p.found {
		p.found, news = true, true // the first list may have gone out without them
		close(p.known)
	}
	p.mu.Unlock()
	select {
	case <-p.link.initialized:
	default:
		return
	}
	if news {
		if err := p.link.notify("notifications/tools/list_changed", struct{}{}); err != nil {
			p.log.Warn("notification not written", "err", err)
		}
	}
}

func (p *proxy) has(string) bool { return true }
func (p *proxy) waits() bool     { return true }

// list returns the tools under their own names. It waits for a connection that
// is only being made.
func (p *proxy) list(ctx context.Context) []mcp.Tool {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	select {
	case <-p.known:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []mcp.Tool
	for _, t := range p.tools {
		if t.Name == "" || len(t.Name) > wire.MaxToolName || wire.HasControl(t.Name) {
			continue
		}
		out = append(out, mcp.Tool{Name: t.Name, Description: "[mesh:" + p.service + "] " + neutral(t.Description), RawInputSchema: hostSchema(t.InputSchema)})
	}
	return out
}

// call calls a tool of the service. It waits for a connection that is being made.
func (p *proxy) call(ctx context.Context, name string) *mcp.CallToolResult {
	r, err := p.ask(ctx, name, argumentsOf(ctx))
	if err != nil {
		r = reply{data: map[string]any{"error": neutral(err.Error())}, text: err.Error(), failed: true}
	}
	return r.result("")
}

func (p *proxy) ask(ctx context.Context, name string, args json.RawMessage) (reply, error) {
	given, err := objectArgs(args)
	if err != nil {
		return reply{}, err
	}
	ready, cancel := context.WithTimeout(ctx, proxyWait)
	err = p.client.Ready(ready)
	cancel()
	if err != nil {
		return reply{}, fmt.Errorf("%s is not connected: try again in a moment (%w)", p.slug, err)
	}
	result, err := p.client.CallTool(ctx, p.service, name, given)
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w", p.slug, err)
	}
	return passedOn(result, p.slug, p.service, name), nil
}
