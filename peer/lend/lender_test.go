package lend

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	mcpserver "github.com/mark3labs/mcp-go/server"

	"claudemesh/peer"
	"claudemesh/wire"
)

// lending returns a Lender whose servers are what this binary plays under their
// names, or what is at a URL.
func lending(t *testing.T, url string, changed func(string)) *Lender {
	t.Helper()
	l := New(func(name string) (peer.ToolServer, bool, error) {
		if name == "web" {
			return peer.ToolServer{URL: url, Headers: map[string]string{"X-Key": "k"}}, true, nil
		}
		return peer.ToolServer{Command: os.Args[0], Env: map[string]string{playing: name}}, name != "none", nil
	}, slog.New(slog.DiscardHandler), changed)
	t.Cleanup(l.Close)
	return l
}

// text returns the text of a result's first block.
func text(t *testing.T, v wire.Value) string {
	t.Helper()
	var res struct {
		Content []struct{ Text string }
	}
	if err := json.Unmarshal(v, &res); err != nil || len(res.Content) == 0 {
		t.Fatalf("%s: %v", v, err)
	}
	return res.Content[0].Text
}

func TestResultsComeWhole(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(mcpserver.NewStreamableHTTPServer(goodServer()))
	t.Cleanup(web.Close)
	l := lending(t, web.URL, nil)
	for _, name := range []string{"good", "web"} {
		tools, err := l.Tools(t.Context(), name)
		if err != nil || len(tools) < 5 || tools[0].Name == "" || tools[0].InputSchema[0] != '{' {
			t.Fatalf("%s has %v, %v", name, tools, err)
		}
		v, err := l.Call(t.Context(), name, "echo", wire.Value(`{"text":"hi <&>"}`))
		if err != nil || text(t, v) != "hi <&>" {
			t.Errorf("%s: %s, %v", name, v, err)
		}
		v, err = l.Call(t.Context(), name, "picture", nil)
		for _, part := range []string{`"type":"image"`, `"data":"aGk="`, `"structuredContent":{"n":1}`, `"isError":true`} {
			if err != nil || !strings.Contains(string(v), part) {
				t.Errorf("%s: %s, %v", name, v, err)
			}
		}
		if _, err := l.Call(t.Context(), name, "none", nil); err == nil {
			t.Errorf("%s: a tool that there is not was called", name)
		}
		if _, err := l.Call(t.Context(), name, "large", nil); err == nil || !strings.Contains(err.Error(), "are the most") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if has, err := l.Has("none"); has || err != nil {
		t.Error(has, err)
	}
}

func TestAServerSeesLittleOfTheEnvironment(t *testing.T) {
	t.Setenv("CLAUDEMESH_SECRET", "s3cret")
	v, err := lending(t, "", nil).Call(t.Context(), "good", "environment", nil)
	if err != nil {
		t.Fatal(err)
	}
	if env := text(t, v); strings.Contains(env, "s3cret") || !strings.Contains(env, "PATH=") || !strings.Contains(env, playing+"=good") {
		t.Errorf("it sees %s", env)
	}
}

func TestBadServersHarmNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, tool, want string }{
		{"exits", "", "no such database"},
		{"floods", "", "message of more than 4 MiB"},
		{"chatters", "", "64 MiB in a minute"},
		{"good", "huge", "message of more than 4 MiB"},
		{"good", "die", "out of luck"},
	} {
		t.Run(c.name+" "+c.tool, func(t *testing.T) {
			t.Parallel()
			l := lending(t, "", nil)
			_, err := l.Call(t.Context(), c.name, c.tool, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerIsNotWaitedForLonger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, tool string }{{"silent", "echo"}, {"deaf", "echo"}, {"good", "hang"}} {
		l := lending(t, "", nil)
		if c.name == "good" {
			if _, err := l.Tools(t.Context(), c.name); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := l.Call(ctx, c.name, c.tool, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	l := lending(t, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Call(ctx, "good", "hang", nil)
	if v, err := l.Call(t.Context(), "good", "echo", wire.Value(`{"text":"still here"}`)); err == nil && text(t, v) != "still here" {
		t.Errorf("%s", v)
	}
}

func TestAServerThatHasEndedIsStartedAgain(t *testing.T) {
	t.Parallel()
	l := lending(t, "", nil)
	if _, err := l.Call(t.Context(), "good", "die", nil); err == nil {
		t.Fatal("it lives")
	}
	l.entries["good"].pause = time.Hour // however long this test takes
	if _, err := l.Call(t.Context(), "good", "echo", nil); err == nil || !strings.Contains(err.Error(), "started again in") {
		t.Errorf("at once: %v", err)
	}
	l.entries["good"].pause = 0
	if _, err := l.Call(t.Context(), "good", "echo", nil); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestChangedToolsAreTold(t *testing.T) {
	t.Parallel()
	changed := make(chan string, 4)
	l := lending(t, "", func(name string) { changed <- name })
	before, err := l.Tools(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Call(t.Context(), "good", "change", nil); err != nil {
		t.Fatal(err)
	}
	if name := <-changed; name != "good" {
		t.Error(name)
	}
	if after, err := l.Tools(t.Context(), "good"); err != nil || len(after) != len(before)+1 {
		t.Errorf("%d tools after %d, %v", len(after), len(before), err)
	}
}
