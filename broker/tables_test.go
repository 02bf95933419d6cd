package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	for _, name := range append(must(filepath.Glob("*_test.go")), must(filepath.Glob("../*_test.go"))...) {
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

// The limits that docs/SECURITY.md tells are those that hold.
func TestThePageOnSecurityHasTheLimits(t *testing.T) {
	t.Parallel()
	page := string(must(os.ReadFile(filepath.Join("..", "docs", "SECURITY.md"))))
	_, page, _ = strings.Cut(page, "\n## Limits\n")
	cells := map[string]string{}
	for line := range strings.Lines(page) {
		if row := strings.Split(line, " | "); len(row) > 1 {
			cells[strings.TrimPrefix(row[0], "| ")] = row[1]
		}
	}
	d := Defaults()
	count := func(n int) string { // as the page writes it
		s := strconv.Itoa(n)
		if n >= 10_000 {
			s = s[:len(s)-3] + " " + s[len(s)-3:]
		}
		return s
	}
	for what, want := range map[string]string{
		"Sockets of one address that have not said hello":    fmt.Sprintf("%d, for %.0f s each", d.MaxSockets, wire.HelloDeadline.Seconds()),
		"A frame: ordinary and before hello; with a file":    roughSize(int64(d.MaxFrame)) + "; " + roughSize(wire.MaxFrameBytes),
		"Frames of one connection":                           fmt.Sprintf("%.0f a second, %d at once", d.Rate, d.Burst),
		"Frames and bytes that wait for one connection":      fmt.Sprintf("%d, %s", d.QueueFrames, roughSize(int64(d.QueueBytes))),
		"Sessions of a mesh":                                 count(d.MaxConnections),
		"Messages that wait for one recipient":               count(d.MailboxCap) + ", for 7 days",
		"HTTP requests of one address that change something": fmt.Sprintf("%.0f a minute", d.HTTPRate),
		"Streams of a mesh; what one keeps; one entry; subscriptions of a session": fmt.Sprintf("%d; %d entries and %s; %s; %d",
			wire.MaxStreams, wire.MaxKeep, roughSize(wire.MaxStreamBytes), roughSize(wire.MaxEntryBytes), wire.MaxSubscriptions),
		"Tasks of a mesh":                count(wire.MaxTasks) + ", of which done ones give way",
		"Scheduled messages of a member": count(wire.MaxSchedules),
		"What a schedule makes up for after the broker was not running": fmt.Sprintf("%d messages", wire.MaxMissed),
		"Webhooks of a mesh; what is posted; how often to one": fmt.Sprintf("%d; %s; %.0f a minute",
			wire.MaxWebhooks, roughSize(wire.MaxHookBody), d.WebhookRate),
		"Messages of one webhook or watch that one recipient has not seen; of a webhook, for how long": fmt.Sprintf("%d; %.0f h", wire.KeptEvents, wire.HookEventKept.Hours()),
		"Watches of a member; of a mesh; how often one looks; how long; how much it reads": fmt.Sprintf("%d; %d; every %d s; %.0f s; %s",
			d.MemberWatches, d.MaxWatches, wire.MinWatchInterval, wire.WatchDeadline.Seconds(), roughSize(wire.MaxWatchBody)),
		"Looks at a time: of the broker; of a member": fmt.Sprintf("%d; %d", maxPolls, maxMemberPolls),
	} {
		if got := cells[what]; got != want {
			t.Errorf("%s: the page says %q, and it is %q", what, got, want)
		}
	}
}
