package broker

import (
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

func TestMakingAMesh(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	owner, other := must(seal.Generate()), must(seal.Generate())
	id := strings.Repeat("m", 32)
	req := func(change ...func(*wire.CreateMesh)) wire.CreateMesh {
		r := wire.CreateMesh{MeshID: id, Slug: "team", OwnerPubkey: owner.Public().String()}
		for _, fn := range change {
			fn(&r)
		}
		return r
	}
	for _, c := range []struct {
		name   string
		key    seal.PrivateKey
		body   any
		status int
		code   any
	}{
		{"an id that is a path", owner, req(func(r *wire.CreateMesh) { r.MeshID = "../../../../etc/x" }), 400, "bad_request"},
		{"a short id", owner, req(func(r *wire.CreateMesh) { r.MeshID = "short" }), 400, "bad_request"},
		{"a bad slug", owner, req(func(r *wire.CreateMesh) { r.Slug = "My Team" }), 400, "bad_request"},
		{"no slug", owner, req(func(r *wire.CreateMesh) { r.Slug = "" }), 400, "bad_request"},
		{"an owner who has not signed", other, req(), 401, "unauthorized"},
		{"not JSON", owner, "x", 400, "bad_request"},
		{"a slug that is taken", owner, req(func(r *wire.CreateMesh) { r.Slug = "home" }), 409, "conflict"},
		{"a new one", owner, req(), 200, nil},
		{"the same again", owner, req(func(r *wire.CreateMesh) { r.OwnerPubkey = strings.ToUpper(r.OwnerPubkey) }), 200, nil},
		{"its id by another owner", other, req(func(r *wire.CreateMesh) { r.OwnerPubkey = other.Public().String() }), 409, "conflict"},
		{"its slug with another id", owner, req(func(r *wire.CreateMesh) { r.MeshID = strings.Repeat("n", 32) }), 409, "conflict"},
	} {
		status, res := b.call("POST", "/mesh", c.key, c.body)
		if status != c.status || res["error"] != c.code {
			t.Errorf("%s: %d %v, want %d %v", c.name, status, res, c.status, c.code)
		}
		if again := c.name == "the same again"; status == 200 && (res["existed"] == true) != again {
			t.Errorf("%s: %v", c.name, res)
		}
	}
	if status, res := b.ask(signedRequest{method: "POST", path: "/mesh", key: owner, body: []byte("{}")}); status != 401 {
		t.Errorf("without the admin token: %d %v", status, res)
	}
	for _, token := range []string{"", "x", b.srv.AdminToken() + "x"} {
		r := must(http.NewRequestWithContext(t.Context(), "POST", b.base+"/mesh", strings.NewReader("{}")))
		r.Header.Set("Authorization", "Bearer "+token)
		if status, res := b.do(r); status != 401 {
			t.Errorf("with another token: %d %v", status, res)
		}
	}
	if ids := must(store.Meshes(b.cfg.Data)); len(ids) != 2 {
		t.Errorf("on disk are %v", ids)
	}
	b.restart()
	if b.srv.meshByID(id) == nil {
		t.Error("after a restart it is not there")
	}
}

func TestMeshesAreApart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	two := b.anotherMesh()
	alice, stranger := b.join("alice"), two.join("stranger")
	a, s := alice.modern("a"), stranger.modern("s")
	if n := len(a.peers()); n != 1 {
		t.Errorf("%d peers", n)
	}
	if ack := a.send("*", "x"); ack["outcome"] != "nobody" {
		t.Errorf("multicast: %v", ack)
	}
	if ack := a.send(s.key, "x"); ack["unknown"] != true {
		t.Errorf("to a key of the other mesh: %v", ack)
	}
	s.quiet()
	h := alice.hello("a", func(h *wire.Hello) { h.MeshID = two.mesh })
	if got := b.refuse(fieldsOf(h)); got != "unauthorized" {
		t.Errorf("hello to the other mesh: %s", got)
	}
	if status, _ := b.call("GET", "/mesh/"+two.mesh+"/members", alice.key, nil); status != 401 {
		t.Errorf("the other mesh's members: %d", status)
	}
	if status, _ := b.call("GET", "/mesh/"+two.mesh+"/invites", b.owner, nil); status != 401 {
		t.Errorf("the other mesh's invites: %d", status)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.Version, c.GitSHA = "1.2.3", "abc" })
	get := func(path string) (int, map[string]any) {
		return b.do(must(http.NewRequestWithContext(t.Context(), "GET", b.base+path, nil)))
	}
	status, res := get("/health")
	uptime, ok := res["uptime"].(float64)
	if status != 200 || res["status"] != "ok" || res["db"] != "up" || res["version"] != "1.2.3" || res["gitSha"] != "abc" || !ok || uptime != float64(int(uptime)) {
		t.Errorf("%d %v", status, res)
	}
	if status, _ := get("/health/ready"); status != 200 {
		t.Errorf("ready: %d", status)
	}
	if err := b.srv.meshByID(b.mesh).close(); err != nil {
		t.Fatal(err)
	}
	if status, res := get("/health"); status != 503 || res["status"] != "degraded" || res["db"] != "down" {
		t.Errorf("without its store: %d %v", status, res)
	}
	b.srv.stopping.Store(true)
	if status, res := get("/health/ready"); status != 503 || res["error"] != "unavailable" {
		t.Errorf("while it stops: %d %v", status, res)
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	for _, r := range [][2]string{{"GET", "/"}, {"GET", "/test/clock"}, {"GET", "/join"}, {"POST", "/health"}, {"PUT", "/mesh"}, {"GET", "/ws/x"}, {"GET", "/server.json"}} {
		res, err := http.DefaultClient.Do(must(http.NewRequestWithContext(t.Context(), r[0], b.base+r[1], nil)))
		if err != nil {
			t.Fatal(err)
		}
		body := must(io.ReadAll(res.Body))
		res.Body.Close()
		if res.StatusCode != 404 || string(body) != "not found" {
			t.Errorf("%s %s: %d %q", r[0], r[1], res.StatusCode, body)
		}
	}
	if status := b.upgrade(nil); status != http.StatusSwitchingProtocols {
		t.Errorf("/ws: %d", status)
	}
	b.base += "/nowhere"
	if status := b.upgrade(nil); status != 404 {
		t.Errorf("a socket elsewhere: %d", status)
	}
}

// scrape returns the samples of /metrics by name and labels.
func (b *testBroker) scrape() (kind string, samples map[string]string) {
	b.t.Helper()
	res, err := b.http.Do(must(http.NewRequestWithContext(b.t.Context(), "GET", b.base+"/metrics", nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	samples = map[string]string{}
	for line := range strings.Lines(string(must(io.ReadAll(res.Body)))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			samples[name] = value
		}
	}
	return res.Header.Get("Content-Type"), samples
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	kind, at := b.scrape()
	if !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("it is %s", kind)
	}
	zero := []string{"broker_connections_total", "broker_connections_active", "broker_queue_depth", "broker_hook_requests_total",
		"broker_hook_requests_rate_limited_total", "broker_messages_expired_total", "broker_watch_looks_total", "broker_watch_failures_total",
		"broker_watch_triggers_total", "broker_schedules_fired_total"}
	for _, outcome := range postOutcomes() {
		zero = append(zero, `broker_webhook_requests_total{outcome="`+outcome+`"}`)
	}
	for _, policy := range []wire.Missed{wire.MissedOnce, wire.MissedSkip, wire.MissedAll} {
		zero = append(zero, `broker_schedules_missed_total{policy="`+string(policy)+`"}`)
	}
	for _, c := range []wire.Code{wire.Capacity, wire.TimestampSkew, wire.Malformed, wire.BadSignature, wire.Unauthorized} {
		zero = append(zero, `broker_connections_rejected_total{reason="`+string(c)+`"}`)
	}
	for _, p := range wire.Priorities {
		zero = append(zero, `broker_messages_routed_total{priority="`+string(p)+`"}`)
	}
	zero = append(zero, `broker_messages_routed_total{priority="stream"}`)
	for _, c := range []wire.Code{wire.Malformed, wire.BadRequest, wire.RateLimited, wire.Internal} {
		zero = append(zero, `broker_messages_rejected_total{reason="`+string(c)+`"}`)
	}
	for _, reason := range []string{dropSlow, dropStreamed, dropMailboxFull, dropEvents, dropNotices} {
		zero = append(zero, `broker_drops_total{reason="`+reason+`"}`)
	}
	for _, name := range zero {
		if at[name] != "0" {
			t.Errorf("at the start %s is %q", name, at[name])
		}
	}
	if at["broker_db_healthy"] != "1" || at["broker_ttl_sweeps_total"] == "" {
		t.Errorf("at the start: %v", at)
	}
	alice, bob := b.join("alice"), b.join("bob")
	a, bb := alice.modern("a"), bob.modern("b")
	a.send(bb.key, "x", map[string]any{"priority": "now"})
	bb.mail()
	a.send(b.join("carol").pub(), "waits")
	a.askAny(map[string]any{"type": "set_status"})
	f := fieldsOf(alice.hello("x"))
	f["signature"] = strings.Repeat("0", 128)
	b.refuse(f)
	alice.hook(wire.HookStatus{Status: wire.Idle, Cwd: "/nowhere"})
	_, at = b.scrape()
	for name, want := range map[string]string{
		"broker_connections_total": "3", "broker_connections_active": "2", "broker_queue_depth": "2", "broker_hook_requests_total": "1",
		`broker_connections_rejected_total{reason="bad_signature"}`: "1", `broker_messages_routed_total{priority="now"}`: "1",
		`broker_messages_routed_total{priority="next"}`: "0", `broker_messages_rejected_total{reason="bad_request"}`: "1",
	} {
		if at[name] != want {
			t.Errorf("%s is %q, want %s", name, at[name], want)
		}
	}
}

func TestChangingRequestsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		for range 4 { // one of five was used to make the mesh
			if status, _ := b.post("/join", map[string]any{}); status != 400 {
				t.Errorf("within the limit: %d", status)
			}
		}
		for _, path := range []string{"/join", "/mesh", "/hook/set-status"} {
			if status, res := b.post(path, map[string]any{}); status != 429 || res["error"] != "rate_limited" {
				t.Errorf("%s over the limit: %d %v", path, status, res)
			}
		}
		if _, at := b.scrape(); at["broker_hook_requests_rate_limited_total"] != "1" || at["broker_hook_requests_total"] != "1" {
			t.Errorf("hooks counted: %v, limited: %v", at["broker_hook_requests_total"], at["broker_hook_requests_rate_limited_total"])
		}
		b.from = netip.MustParseAddr("192.0.2.9")
		if status, _ := b.post("/join", map[string]any{}); status != 400 {
			t.Errorf("from another address: %d", status)
		}
	}, func(c *Config) { c.HTTPRate = 5 })
}

// An attacker who has an IPv6 network has more addresses than can be remembered.
func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	l := rateLimits{perMinute: 1}
	if !l.allow(netip.MustParseAddr("2001:db8:1:2::1")) || l.allow(netip.MustParseAddr("2001:db8:1:2::ffff")) {
		t.Error("two addresses of one network are limited apart")
	}
	if !l.allow(netip.MustParseAddr("2001:db8:1:3::1")) || !l.allow(netip.MustParseAddr("192.0.2.1")) || !l.allow(netip.MustParseAddr("192.0.2.2")) {
		t.Error("others are limited with it")
	}
	var s socketCount
	a, b := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2::2")
	if !s.enter(a, 1) || s.enter(b, 1) {
		t.Error("sockets of one network are counted apart")
	}
	s.leave(a)
	if !s.enter(b, 1) {
		t.Error("a place is not given back")
	}
}

// A broker that finds the directory in use has touched nothing in it.
func TestOneBrokerPerDataDirectory(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, nil)
	lock := must(store.LockDir(cfg.Data))
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second broker: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "server.json")); err == nil {
		t.Error("it has made an identity beside the first one's")
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	srv := must(Open(t.Context(), cfg))
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func TestSecretsOnDiskAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	inv := b.invite(1, nil)
	b.join("alice").modern("a").send("*", "x")
	secret := regexp.MustCompile(regexp.QuoteMeta(b.root) + "|" + b.owner.Hex() + "|" + regexp.QuoteMeta(inv.Token()))
	err := filepath.WalkDir(b.cfg.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info := must(d.Info())
		if path != b.cfg.Data && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if d.Type().IsRegular() && secret.Match(must(os.ReadFile(path))) {
			t.Errorf("%s has a key that the broker needs not have", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
