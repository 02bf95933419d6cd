package broker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestEveryRequestHasARoute(t *testing.T) {
	t.Parallel()
	table := tableOf(routes())
	index := map[wire.Type]bool{}
	for _, e := range wire.Index() {
		if e.Direction != wire.ToBroker {
			continue
		}
		index[e.Type] = true
		_, ok := table[e.Type]
		if hello := e.Type == "hello"; ok == hello {
			t.Errorf("%s: in the table of routes: %v", e.Type, ok)
		}
	}
	for typ := range table {
		if !index[typ] {
			t.Errorf("the route of %s serves a frame that nobody sends", typ)
		}
	}
}

var pathValue = regexp.MustCompile(`\{[^}]*\}`)

// A client is written from docs/PROTOCOL.md: every endpoint is there, and none
// that is not.
func TestEveryEndpointIsInTheReference(t *testing.T) {
	t.Parallel()
	doc := string(must(os.ReadFile(filepath.Join("..", "docs", "PROTOCOL.md"))))
	_, http, _ := strings.Cut(doc, "\n## HTTP\n")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:GET|POST|PATCH|DELETE) [^`]+)` \\|").FindAllStringSubmatch(http, -1) {
		named[pathValue.ReplaceAllString(m[1], "{}")] = true
	}
	srv := &Server{metrics: newMetrics(&Server{})}
	for _, e := range srv.endpoints() {
		pattern := pathValue.ReplaceAllString(e.pattern, "{}")
		switch {
		case pattern == "GET /ws": // is in the chapter on transport
			if !strings.Contains(doc, "`/ws`") {
				t.Error("the reference does not say where the WebSocket is")
			}
		case !named[pattern]:
			t.Errorf("the reference has no row for %s", e.pattern)
		}
		delete(named, pattern)
	}
	for pattern := range named {
		t.Errorf("the reference has a row for %s, which is not served", pattern)
	}
}

// What docs/SECURITY.md says is held by a test is.
func TestThePageOnSecurityNamesItsTests(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, name := range must(filepath.Glob("*_test.go")) {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(must(os.ReadFile(name))), -1) {
			have[m[1]] = true
		}
	}
	page := string(must(os.ReadFile(filepath.Join("..", "docs", "SECURITY.md"))))
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, m := range named {
		if !have[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
}
