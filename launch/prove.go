package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"claudemesh/peer"
)

const (
	proofTime = 30 * time.Second // for all of it
	tripEvery = 100 * time.Millisecond
	tripTime  = 10 * time.Second // until the server must be connected
)

// A Proof says what trying the installed command showed.
type Proof struct {
	// Server is the name and version that the MCP server gave.
	Server string `json:"server,omitempty"`
	Tools  int    `json:"tools"` // that the server offers
	// RoundTrip is the mesh through whose broker the session reached itself;
	// empty if none was tried.
	RoundTrip string `json:"roundTrip,omitempty"`
	// Skipped says in a sentence what was not tried, and why.
	Skipped string `json:"skipped,omitempty"`
}

// Prove starts the installed command as a client would, lists its tools and,
// with a mesh joined, has it send a message to itself through the broker. The
// session that it is for this has a configuration and keys of its own that are
// gone afterwards.
func (h *Host) Prove(ctx context.Context) (p Proof, err error) {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	c, err := peer.LoadConfig(h.ConfigDir)
	if err != nil {
		return p, err
	}
	dir, err := os.MkdirTemp("", "claudemesh-proof-")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	if err := trialConfig(ctx, dir, c); err != nil {
		return p, err
	}
	conn, err := startServer(ctx, h.Command, dir)
	if err != nil {
		return p, fmt.Errorf("start `%s mcp`: %w", h.Command, err)
	}
	defer conn.stop()
	if p.Server, err = conn.initialize(ctx); err != nil {
		return p, conn.explain(err)
	}
	var list struct {
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	if err := conn.call(ctx, "tools/list", struct{}{}, &list); err != nil {
		return p, conn.explain(err)
	}
	p.Tools = len(list.Tools)
	if len(c.Meshes) == 0 {
		p.Skipped = "No message was sent, because no mesh is joined yet."
		return p, nil
	}
	if err := conn.roundTrip(ctx); err != nil {
		return p, conn.explain(err)
	}
	p.RoundTrip = c.Meshes[0].Slug
	return p, nil
}

// trialConfig writes the configuration of the trial session: the first mesh,
// and its keys below dir.
func trialConfig(ctx context.Context, dir string, c *peer.Config) error {
	return peer.UpdateConfig(ctx, dir, func(own *peer.Config) error {
		own.Meshes = c.Meshes[:min(1, len(c.Meshes))]
		own.SessionsDir = filepath.Join(dir, "sessions")
		own.DisplayName, own.MessageMode = "installation check", "off"
		return nil
	})
}

// startServer starts the MCP server with the configuration in dir.
func startServer(ctx context.Context, command, dir string) (*stdioClient, error) {
	cmd := exec.CommandContext(ctx, command, "mcp")
	for _, v := range hostEnviron() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "CLAUDE_CODE_") && name != "CLAUDE_PID" && !strings.HasPrefix(name, "CLAUDEMESH_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "CLAUDEMESH_CONFIG_DIR="+dir, "CLAUDEMESH_SESSION_ID=proof-"+filepath.Base(dir))
	return dialStdio(cmd)
}

// hostEnviron is our environment without what lets others write into the
// session that we may run in.
func hostEnviron() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CLAUDE_CODE_MESSAGING_") {
			env = append(env, v)
		}
	}
	return env
}

// initialize greets the server and returns its name and version.
func (s *stdioClient) initialize(ctx context.Context) (string, error) {
	params := map[string]any{
		"protocolVersion": "2025-11-25",
		"capabilities":    struct{}{},
		"clientInfo":      map[string]string{"name": "claudemesh install", "version": "1"},
	}
	var res struct {
		ServerInfo struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"serverInfo"`
	}
	if err := s.call(ctx, "initialize", params, &res); err != nil {
		return "", err
	}
	return res.ServerInfo.Name + " " + res.ServerInfo.Version, s.notify("notifications/initialized")
}

// roundTrip has the server send a message to itself, as soon as it is
// connected.
func (s *stdioClient) roundTrip(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tripTime)
	defer cancel()
	for {
		var res struct {
			IsError bool `json:"isError"`
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
		}
		err := s.call(ctx, "tools/call", map[string]any{"name": "ping_mesh", "arguments": map[string]any{"priorities": []string{"now"}}}, &res)
		if err != nil {
			return err
		}
		var said []string
		for _, c := range res.Content {
			said = append(said, c.Text)
		}
		if !res.IsError {
			return nil
		}
		select {
		case <-time.After(tripEvery):
		case <-ctx.Done():
			return errors.New("no message came back through the broker: " + strings.Join(said, " "))
		}
	}
}

// decodeResult reads the result of a call into res.
func decodeResult(raw json.RawMessage, res any) error {
	if err := json.Unmarshal(raw, res); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}
