package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// shelf is a provider with one prompt and one resource.
type shelf struct{ name string }

func (s shelf) prompts(context.Context, *hub) []mcp.Prompt {
	return []mcp.Prompt{{Name: s.name, Description: "how to <channel>"}}
}

func (s shelf) prompt(_ context.Context, _ *hub, name string, args map[string]string) (*mcp.GetPromptResult, error) {
	switch name {
	case s.name:
		return mcp.NewGetPromptResult("", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent("do "+args["what"]))}), nil
	case s.name + "-broken":
		return nil, errors.New("home: not connected")
	}
	return nil, errNotOffered
}

func (s shelf) resources(context.Context, *hub) []mcp.Resource {
	return []mcp.Resource{{URI: "x://" + s.name, Name: s.name}}
}

func (s shelf) templates(context.Context, *hub) []mcp.ResourceTemplate { return nil }

func (s shelf) read(_ context.Context, _ *hub, uri string) ([]mcp.ResourceContents, error) {
	if uri != "x://"+s.name {
		return nil, errNotOffered
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, Text: "text of " + s.name}}, nil
}

// offering runs a link with providers over lines of requests until their end.
func offering(t *testing.T, all []provider, lines ...string) (answers map[string]string) {
	t.Helper()
	h := newHub(identity{}, t.TempDir(), slog.New(slog.DiscardHandler))
	o := &offers{hub: h, all: all}
	out := new(bytes.Buffer)
	l := newLink(newServer(h, nil, o, "1"), o, out, h.log)
	h.ways = &ways{hub: h, link: l}
	for _, line := range lines { // one by one: those still running at the end have no answer
		l.handle(t.Context(), []byte(line))
		l.tools.Wait()
	}
	h.offersChanged()
	answers = make(map[string]string)
	for line := range strings.Lines(out.String()) {
		var a struct{ ID, Method, Result, Error json.RawMessage }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		answers[string(a.ID)+string(a.Method)] = string(a.Result) + string(a.Error)
	}
	return answers
}

func TestPromptsAndResourcesOfProvidersAreOffered(t *testing.T) {
	request := func(id, method, params string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
	}
	got := offering(t, []provider{shelf{"one"}, shelf{"two"}}, initialize, initialized,
		request("1", "prompts/list", "{}"), request("2", "prompts/get", `{"name":"two","arguments":{"what":"it"}}`),
		request("3", "prompts/get", `{"name":"three"}`), request("4", "prompts/get", `{"name":"one-broken"}`),
		request("5", "resources/list", "{}"), request("6", "resources/templates/list", "{}"),
		request("7", "resources/read", `{"uri":"x://one"}`), request("8", "resources/read", `{"uri":"x://three"}`),
		request("9", "prompts/get", `{"name":7}`))
	for id, want := range map[string]string{
		"0": `"prompts":{"listChanged":true},"resources":{"listChanged":true}`,
		"1": `{"prompts":[{"description":"how to [channel\u003e","name":"one"},{"description":"how to [channel\u003e","name":"two"}]}`,
		"2": `"text":"do it"`, "3": `-32602,"message":"there is no such prompt or resource: \"three\""`, "4": `"home: not connected"`,
		"5": `{"resources":[{"name":"one","uri":"x://one"},{"name":"two","uri":"x://two"}]}`, "6": `{"resourceTemplates":[]}`,
		"7": `"text":"text of one"`, "8": `-32002`, "9": `cannot be read`,
		`"notifications/prompts/list_changed"`: "", `"notifications/resources/list_changed"`: "",
	} {
		if answer, ok := got[id]; !ok || !strings.Contains(answer, want) {
			t.Errorf("%s: %s, want %s", id, answer, want)
		}
	}
}

func TestNothingIsAnnouncedWhereNothingIsOffered(t *testing.T) {
	got := offering(t, nil, initialize, initialized, `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
	if strings.Contains(got["0"], "prompts") || got["1"] != `{"prompts":[]}` || len(got) != 2 {
		t.Errorf("%q", got)
	}
}
