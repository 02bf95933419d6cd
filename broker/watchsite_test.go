package broker

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// A testSite is a web server in a bubble, which every name and address leads to.
type testSite struct {
	mu      sync.Mutex
	handler http.HandlerFunc
	looks   int
	ln      *pipeListener
}

// site starts one, for b's watches.
func (b *testBroker) site(h http.HandlerFunc) *testSite {
	s := &testSite{handler: h, ln: &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	hs := &http.Server{Handler: s}
	go hs.Serve(s.ln)
	b.t.Cleanup(func() { hs.Close() })
	b.watchAt(s)
	return s
}

// watchAt has the broker's watches find s, after a restart for instance.
func (b *testBroker) watchAt(s *testSite) {
	b.srv.polls.mu.Lock() // which every look takes before it begins
	defer b.srv.polls.mu.Unlock()
	b.srv.fetch.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.ln.dial(ctx, netip.MustParseAddr("192.0.2.9"))
	}
}

func (s *testSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.looks++
	h := s.handler
	s.mu.Unlock()
	h(w, r)
}

// shows has the site answer with that body.
func (s *testSite) shows(body string) { s.does(says(body)) }

func (s *testSite) does(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// seen returns how often the site was looked at since it was asked.
func (s *testSite) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.looks
	s.looks = 0
	return n
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// watch makes a watch and returns its id.
func (p *testPeer) watch(fields map[string]any) string {
	p.t.Helper()
	f := map[string]any{"type": "watch", "url": "http://site.example/x"}
	maps.Copy(f, fields)
	return p.ask("watch_ack", f)["watchId"].(string)
}

// watches returns p's watches.
func (p *testPeer) watches() []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for _, e := range p.ask("watch_list_result", map[string]any{"type": "watch_list"})["watches"].([]any) {
		all = append(all, e.(map[string]any))
	}
	return all
}

// watched returns what watches have told p, each once.
func (p *testPeer) watched() (all []map[string]any) {
	p.t.Helper()
	pass(10 * time.Millisecond)
	have := map[any]bool{}
	for _, f := range p.news() {
		if f["event"] == "watch_triggered" && !have[f["messageId"]] {
			have[f["messageId"]] = true
			all = append(all, f)
		}
	}
	return all
}

// triggered returns what a watch has told p, which has seen it then; nil if
// that is nothing.
func (p *testPeer) triggered() (push, data map[string]any) {
	p.t.Helper()
	all := p.watched()
	if len(all) == 0 {
		return nil, nil
	}
	p.acked("seen", all...)
	if len(all) > 1 {
		p.t.Errorf("told %d times: %v", len(all), all)
	}
	return all[0], all[0]["eventData"].(map[string]any)
}

func number(text string) float64 { return must(strconv.ParseFloat(text, 64)) }
