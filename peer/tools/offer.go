package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/wire"
)

const (
	offerTime  = 10 * time.Second // for one list, prompt or resource
	maxOffered = 1000             // entries of one list
)

// errNotOffered is what a provider says of a name that is not one of its own.
var errNotOffered = errors.New("there is no such prompt or resource")

// A provider offers prompts and resources to the host besides the tools. A
// feature that has some implements it in its own file and has a line in
// providers; nothing else is needed. Its methods are called concurrently and
// beside all other answers; ctx ends after offerTime.
//
// A host lists when it starts, before any broker is connected: a list is then
// of what is known, at once. When a mesh opens or is left the host is told by
// itself that the lists changed; for any other change the feature calls
// hub.offersChanged. All that is returned is made harmless on its way out, but
// whose words they are must be said in the text.
type provider interface {
	prompts(ctx context.Context, h *hub) []mcp.Prompt
	prompt(ctx context.Context, h *hub, name string, args map[string]string) (*mcp.GetPromptResult, error)
	resources(ctx context.Context, h *hub) []mcp.Resource
	templates(ctx context.Context, h *hub) []mcp.ResourceTemplate
	read(ctx context.Context, h *hub, uri string) ([]mcp.ResourceContents, error)
}

// providers is all of them. Were it empty neither capability would be announced.
func providers() []provider { return []provider{skills{}} }

// offers answers the host's requests for prompts and resources.
type offers struct {
	hub *hub
	all []provider
}

// offered reports whether a request is for offers.
func offered(method string) bool {
	switch method {
	case "prompts/list", "prompts/get", "resources/list", "resources/read", "resources/templates/list":
		return true
	}
	return false
}

// An offerRequest is the params of all of them.
type offerRequest struct {
	Params struct {
		Name      string            `json:"name"`
		Arguments map[string]string `json:"arguments"`
		URI       string            `json:"uri"`
	} `json:"params"`
}

// answer returns the result of a request, or the code and the words of its
// refusal. Lists are answered where nothing is offered too: some hosts ask all
// the same.
func (o *offers) answer(ctx context.Context, method string, line []byte) (result json.RawMessage, code int, err error) {
	var in offerRequest
	if json.Unmarshal(line, &in) != nil {
		return nil, mcp.INVALID_PARAMS, fmt.Errorf("the parameters of %s cannot be read", method)
	}
	ctx, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	var out any
	switch method {
	case "prompts/list":
		out = map[string]any{"prompts": listed(o, func(p provider) []mcp.Prompt { return p.prompts(ctx, o.hub) })}
	case "resources/list":
		out = map[string]any{"resources": listed(o, func(p provider) []mcp.Resource { return p.resources(ctx, o.hub) })}
	case "resources/templates/list":
		out = map[string]any{"resourceTemplates": listed(o, func(p provider) []mcp.ResourceTemplate { return p.templates(ctx, o.hub) })}
	case "prompts/get":
		code = mcp.INVALID_PARAMS
		out, err = found(o, in.Params.Name, func(p provider) (any, error) {
			return p.prompt(ctx, o.hub, in.Params.Name, in.Params.Arguments)
		})
	default:
		code = mcp.RESOURCE_NOT_FOUND
		out, err = found(o, in.Params.URI, func(p provider) (any, error) {
			contents, err := p.read(ctx, o.hub, in.Params.URI)
			return map[string]any{"contents": contents}, err
		})
	}
	if err != nil {
		if !errors.Is(err, errNotOffered) {
			code = mcp.INTERNAL_ERROR
		}
		return nil, code, errors.New(neutral(err.Error()))
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, mcp.INTERNAL_ERROR, err
	}
	return neutralJSON(data), 0, nil
}

// listed joins what the providers list.
func listed[T any](o *offers, list func(provider) []T) []T {
	out := []T{}
	for _, p := range o.all {
		out = append(out, list(p)...)
	}
	return out[:min(len(out), maxOffered)]
}

// found asks the providers until one has it.
func found(o *offers, name string, get func(provider) (any, error)) (any, error) {
	for _, p := range o.all {
		if out, err := get(p); !errors.Is(err, errNotOffered) {
			return out, err
		}
	}
	return nil, fmt.Errorf("%w: %q", errNotOffered, wire.Shorten(name, 200))
}

// offersChanged tells the host that its lists of prompts and resources are old.
func (h *hub) offersChanged() {
	l := h.ways.link
	if len(l.offers.all) == 0 || !h.ways.begun() {
		return
	}
	for _, what := range []string{"prompts", "resources"} {
		if err := l.notify("notifications/"+what+"/list_changed", struct{}{}); err != nil {
			h.log.Warn("notification not written", "err", err)
		}
	}
}
