package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"claudemesh/wire"
)

func TestCallsOfServicesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		f := new(fakeServices)
		faked(f)(&b.srv.cfg)
		a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
		a.deployed(f, deploy("db", "scope", "mesh"))
		r := f.of(b)
		ended := make(chan error, 100)
		r.call = func(ctx context.Context, _, _ string, _ wire.Value) (wire.Value, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		late := a.callTool("db", "echo")
		for range maxRelaysFrom - 1 {
			a.callTool("db", "echo")
		}
		if text := a.callError("db", "echo"); !strings.Contains(text, "wait for one of them") {
			t.Error(text)
		}
		if text, _ := a.answered(late)["error"].(string); !strings.HasPrefix(text, "runner call failed: no answer within 25 s") {
			t.Error(text)
		}
		for range maxRelaysFrom {
			<-ended
		}
		other.callTool("db", "echo")
		synctest.Wait()
		other.drop()
		<-ended // with the one who asked
		r.mu.Lock()
		r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
			return nil, errors.New("it ended during the call")
		}
		r.mu.Unlock()
		if text := a.callError("db", "echo"); text != "runner call failed: it ended during the call" {
			t.Error(text)
		}
	})
}

func TestToolsThatCannotBeShownAreLeftOut(t *testing.T) {
	t.Parallel()
	object := wire.Value(`{"type":"object"}`)
	many := make([]wire.MCPTool, wire.MaxServerTools+7)
	for i := range many {
		many[i] = wire.MCPTool{Name: fmt.Sprint("t", i), InputSchema: object}
	}
	for _, c := range []struct {
		name       string
		tools      []wire.MCPTool
		kept, gone int
	}{
		{"none", nil, 0, 0},
		{"a tool without a schema, which takes no arguments", []wire.MCPTool{{Name: "a"}}, 1, 0},
		{"a name twice, none and one that is none", []wire.MCPTool{{Name: "a", InputSchema: object}, {Name: "a", InputSchema: object}, {}, {Name: "a\n", InputSchema: object}}, 1, 3},
		{"a schema that is none", []wire.MCPTool{{Name: "a", InputSchema: wire.Value(`"x"`)}}, 0, 1},
		{"a schema that is too large beside one that is not", []wire.MCPTool{{Name: "a", InputSchema: wire.Value(`{"x":"` + strings.Repeat("x", wire.MaxServerBytes) + `"}`)}, {Name: "b"}}, 1, 1},
		{"too many", many, wire.MaxServerTools, 7},
	} {
		if kept, gone := usableTools(c.tools); len(kept) != c.kept || gone != c.gone {
			t.Errorf("%s: %d kept, %d left out", c.name, len(kept), gone)
		}
	}
}

func TestLinesOfALogFitIntoAnAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", wire.MaxLogLine)
	var lines []string
	for range wire.MaxServiceLog {
		lines = append(lines, long)
	}
	newest, next := fitLines(lines, 5000, false)
	if len(newest) == 0 || len(newest) == len(lines) || next != 5000 {
		t.Errorf("%d newest lines, next %d", len(newest), next)
	}
	first, next := fitLines(lines, 5000, true)
	if len(first) == 0 || len(first) == len(lines) || next != 5000-int64(len(lines)-len(first)) {
		t.Errorf("%d lines that follow, next %d", len(first), next)
	}
}
