package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	svcPrefix = "svc__"
	// maxSvcName leaves a host room for what it puts before the name: models
	// are given mcp__claudemesh__ and the name in at most 64 characters.
	maxSvcName  = 64 - len("mcp__"+Name+"__")
	maxSvcTools = 128       // of all services
	maxSvcBytes = 192 << 10 // of their definitions
	svcText     = 1000      // characters of a description
	svcSettle   = time.Second / 4
)

// A svcTool is a tool of a deployed service under a name of this server.
type svcTool struct {
	mesh    *mesh
	service string
	tool    string
	listed  mcp.Tool
}

// svcTools are the tools of the deployed services of all meshes, which come and
// go while the session runs. What of them is more than fits stays out of the
// list, and is called by mesh_tool_call.
type svcTools struct {
	hub    *hub
	chosen func(name string) bool // as --tools has it

	refreshing sync.Mutex // one after the other; taken before mu

	mu     sync.Mutex
	native map[string]bool // services that the host has as servers of their own
	byName map[string]svcTool
	digest [sha256.Size]byte // of the list
}

// svcChosen returns which tools of services a --tools value lets be listed.
func svcChosen(which string) func(name string) bool {
	switch which {
	case "", "all":
		return func(string) bool { return true }
	case "core":
		return func(string) bool { return false }
	}
	var names []string
	for name := range strings.SplitSeq(which, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return func(name string) bool { return slices.Contains(names, name) }
}

// nativeServices are the services that the host of this session was launched
// with. A host that runs within it inherits the variable, and has none of them.
func nativeServices(getenv func(string) string) map[string]bool {
	session := getenv("CLAUDE_CODE_SESSION_ID")
	launched := getenv(peer.HostProcess) == getenv("CLAUDE_PID") || session != "" && session == getenv("CLAUDEMESH_SESSION_ID")
	native := make(map[string]bool)
	for name := range strings.SplitSeq(getenv(peer.NativeServices), ",") {
		if launched && name != "" {
			native[name] = true
		}
	}
	return native
}

// attendServices keeps the tools of a mesh's services up to date until ctx ends.
func (h *hub) attendServices(ctx context.Context, m *mesh) {
	for {
		changed := m.client.ServicesChanged()
		if err := m.client.FetchServiceTools(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("tools of services not known", "mesh", m.slug, "err", err)
		}
		h.svc.refresh()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		// A service that comes and goes has the host list no more than that.
		select {
		case <-time.After(svcSettle):
		case <-ctx.Done():
			return
		}
	}
}

// ended takes note that a service is gone. If the host had it as a server of its
// own, so is its proxy, and when it comes back its tools are listed here.
func (s *svcTools) ended(service string) {
	s.mu.Lock()
	native := s.native[service]
	delete(s.native, service)
	s.mu.Unlock()
	if native {
		s.refresh() // it may be back already
	}
}

// refresh makes the tools those of the services there are, and tells the host
// if its list is old.
func (s *svcTools) refresh() {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	sum := sha256.New()
	kept, size := make(map[string]svcTool), 0
	for _, t := range nameSvc(s.collect()) {
		def, err := json.Marshal(t.listed)
		if err != nil || !s.chosen(t.listed.Name) || len(kept) >= maxSvcTools || size+len(def) > maxSvcBytes {
			continue
		}
		size += len(def)
		kept[t.listed.Name] = t
		fmt.Fprintf(sum, "%s %s\n", t.mesh.slug, def)
	}
	s.mu.Lock()
	old := s.digest
	s.byName = kept
	sum.Sum(s.digest[:0])
	news := s.digest != old
	s.mu.Unlock()
	if l := s.hub.ways.link; news && s.hub.ways.begun() {
		if err := l.notify("notifications/tools/list_changed", struct{}{}); err != nil {
			s.hub.log.Warn("notification not written", "err", err)
		}
	}
}

// collect returns the tools of all services that are not the host's already, in
// the order of the configuration.
func (s *svcTools) collect() (all []svcTool) {
	for _, m := range s.hub.all() {
		for _, d := range m.client.Services() {
			s.mu.Lock()
			native := s.native[d.Name]
			s.mu.Unlock()
			if native || !wire.ValidServerName(d.Name) {
				continue
			}
			for _, t := range d.Tools {
				all = append(all, svcTool{mesh: m, service: d.Name, tool: t.Name, listed: mcp.Tool{
					Description:    fmt.Sprintf("[service %s of mesh %s, by %s] %s", d.Name, m.slug, neutralLine(d.DeployedBy, nameLen), wire.Shorten(neutral(t.Description), svcText)),
					RawInputSchema: hostSchema(t.InputSchema),
				}})
			}
		}
	}
	return all
}

// nameSvc gives each tool a name that hosts take and no other has. Where two
// meshes have the same, both get the mesh's slug at the end.
func nameSvc(all []svcTool) []svcTool {
	plain := make(map[string]int)
	for i := range all {
		plain[all[i].name("")]++
	}
	taken := make(map[string]bool)
	var named []svcTool
	for _, t := range all {
		name := t.name("")
		if plain[name] > 1 {
			name = t.name("__" + t.mesh.slug)
		}
		if taken[name] {
			name = fitName(name, t.mesh.slug+"\x00"+t.service+"\x00"+t.tool, true)
		}
		if taken[name] {
			continue
		}
		taken[name] = true
		t.listed.Name = name
		named = append(named, t)
	}
	return named
}

func (t *svcTool) name(suffix string) string {
	return fitName(svcPrefix+t.service+"__"+t.tool+suffix, t.service+"\x00"+t.tool+suffix, false)
}

// fitName returns a name of letters, digits, - and _ that is not too long. One
// that had to be changed, or must be, ends with a few digits that tell it from
// others: they are of what it stands for.
func fitName(name, of string, must bool) string {
	fit := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, name)
	if fit == name && len(name) <= maxSvcName && !must {
		return name
	}
	sum := sha256.Sum256([]byte(of))
	mark := "_" + hex.EncodeToString(sum[:3])
	return fit[:min(len(fit), maxSvcName-len(mark))] + mark
}

// hostSchema is the schema of a tool as hosts and models take it. One tool with
// a schema that they refuse would cost the session all tools: in its place
// stands one that takes any object.
func hostSchema(schema wire.Value) json.RawMessage {
	const any = `{"type":"object"}`
	var top map[string]json.RawMessage
	if json.Unmarshal(schema, &top) != nil || top == nil {
		return json.RawMessage(any)
	}
	for _, word := range []string{"oneOf", "anyOf", "allOf", "not", "enum", "$ref"} {
		if _, has := top[word]; has {
			return json.RawMessage(any)
		}
	}
	var kind string
	if raw, has := top["type"]; has && (json.Unmarshal(raw, &kind) != nil || kind != "object") {
		return json.RawMessage(any)
	}
	top["type"] = json.RawMessage(`"object"`)
	var properties map[string]json.RawMessage
	if raw, has := top["properties"]; has && (json.Unmarshal(raw, &properties) != nil || properties == nil) {
		return json.RawMessage(any)
	}
	for name := range properties {
		if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
			return !strings.ContainsRune("-_.", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			return json.RawMessage(any)
		}
	}
	var required []string
	if raw, has := top["required"]; has && json.Unmarshal(raw, &required) != nil {
		return json.RawMessage(any)
	}
	out, err := json.Marshal(top)
	if err != nil {
		return json.RawMessage(any)
	}
	return neutralJSON(out)
}

func (s *svcTools) has(name string) bool { return strings.HasPrefix(name, svcPrefix) }
func (s *svcTools) waits() bool          { return false }

// list returns the tools for the host, by name.
func (s *svcTools) list(context.Context) []mcp.Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []mcp.Tool
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		out = append(out, s.byName[name].listed)
	}
	return out
}

// call calls a tool of a service. Its failures are results too.
func (s *svcTools) call(ctx context.Context, name string) *mcp.CallToolResult {
	return s.hub.call(ctx, &tool{name: name, call: func(ctx context.Context, h *hub, args json.RawMessage) (reply, error) {
		s.mu.Lock()
		t, ok := s.byName[name]
		s.mu.Unlock()
		if !ok {
			return reply{}, fmt.Errorf("there is no tool %s, or no more: mesh_mcp_catalog lists the services there are", wire.Shorten(name, maxSvcName))
		}
		given, err := objectArgs(args)
		if err != nil {
			return reply{}, err
		}
		return h.callPeer(ctx, t.mesh, t.service, t.tool, given)
	}})
}

// objectArgs returns the arguments of a tool as they are passed on; there may be
// none.
func objectArgs(args json.RawMessage) (wire.Value, error) {
	if len(args) == 0 || string(args) == "null" {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(args, &object) != nil {
		return nil, errors.New("the arguments must be an object")
	}
	return wire.Value(args), nil
}
