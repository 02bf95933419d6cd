package broker

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag string
		set  func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.PublicURL = "https://mesh.example:8443" }},
		{"", func(c *Config) { c.PublicURL = "http://10.0.0.7/" }},
		{"", func(c *Config) { c.MaxFrame = wire.MaxFrameBytes }},
		{"--data", func(c *Config) { c.Data = "" }},
		{"--data", func(c *Config) { c.Data = "relative" }},
		{"--max-frame", func(c *Config) { c.MaxFrame = wire.MaxFrameBytes + 1 }},
		{"--max-frame", func(c *Config) { c.MaxFrame = 0 }},
		{"--rate", func(c *Config) { c.Rate = -1 }},
		{"--grace", func(c *Config) { c.Grace = 0 }},
		{"--public-url", func(c *Config) { c.PublicURL = "mesh.example" }},
		{"--public-url", func(c *Config) { c.PublicURL = "ws://mesh.example" }},
		{"--public-url", func(c *Config) { c.PublicURL = "https://mesh.example/path" }},
		{"--public-url", func(c *Config) { c.PublicURL = "https://mesh.example?q" }},
		{"--public-url", func(c *Config) { c.PublicURL = "https://user:secret@mesh.example" }},
	} {
		cfg := Defaults()
		cfg.Data = "/data"
		c.set(&cfg)
		err := cfg.Check()
		if (err != nil) != (c.flag != "") || err != nil && !strings.HasPrefix(err.Error(), c.flag+" ") {
			t.Errorf("%+v: %v, want one about %q", cfg, err, c.flag)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
}

func TestFlagsSetTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	cfg.Flags(fs)
	if err := fs.Parse([]string{"--listen", ":1", "--legacy-clients", "--grace", "5s", "--rate", "2.5", "--max-connections", "7"}); err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != ":1" || !cfg.LegacyClients || cfg.Grace != 5*time.Second || cfg.Rate != 2.5 || cfg.MaxConnections != 7 {
		t.Errorf("%+v", cfg)
	}
	defaults := Defaults()
	fs.VisitAll(func(f *flag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s has no explanation", f.Name)
		}
		if f.Name == "lease" && f.DefValue != defaults.Lease.String() {
			t.Errorf("--lease is %s", f.DefValue)
		}
	})
}

func TestTheURLThatABrokerIsKnownBy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ public, addr, want string }{
		{"", "127.0.0.1:7900", "ws://127.0.0.1:7900/ws"},
		{"", "0.0.0.0:7900", "ws://" + lanAddress().String() + ":7900/ws"},
		{"", "[::]:7900", "ws://" + lanAddress().String() + ":7900/ws"},
		{"", "[2001:db8::1]:1", "ws://[2001:db8::1]:1/ws"},
		{"https://mesh.example", "0.0.0.0:7900", "wss://mesh.example/ws"},
		{"http://ws.example:8080/", "0.0.0.0:7900", "ws://ws.example:8080/ws"},
	} {
		cfg := Config{PublicURL: c.public}
		if got := cfg.SocketURL(netip.MustParseAddrPort(c.addr)); got != c.want {
			t.Errorf("%q at %s is %s, want %s", c.public, c.addr, got, c.want)
		}
	}
}

func TestEveryErrorHasOneCodeAndStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		code   wire.Code
		status int
	}{
		{wire.Errorf(wire.Forbidden, "no"), wire.Forbidden, http.StatusForbidden},
		{fmt.Errorf("around: %w", wire.Errorf(wire.RateLimited, "no")), wire.RateLimited, http.StatusTooManyRequests},
		{fmt.Errorf("around: %w", store.ErrUnavailable), wire.Unavailable, http.StatusServiceUnavailable},
		{store.ErrClosed, wire.Unavailable, http.StatusServiceUnavailable},
		{store.ErrNotFound, wire.NotFound, http.StatusNotFound},
		{store.ErrConflict, wire.Conflict, http.StatusConflict},
		{store.ErrLimit, wire.Limit, http.StatusBadRequest},
		{errors.New("a path or a statement"), wire.Internal, http.StatusInternalServerError},
		{fmt.Errorf("%w: disk: %w", store.ErrUnavailable, store.ErrConflict), wire.Unavailable, http.StatusServiceUnavailable},
	} {
		e := asError(c.err)
		if e.Code != c.code || httpStatus(e.Code) != c.status {
			t.Errorf("%v is %s, %d", c.err, e.Code, httpStatus(e.Code))
		}
		if strings.Contains(e.Message, "statement") {
			t.Errorf("what is inside leaves: %s", e.Message)
		}
	}
}

func TestLimitersOfSilentAddressesAreForgotten(t *testing.T) {
	t.Parallel()
	l := rateLimits{perMinute: 1}
	addr := netip.MustParseAddr("10.0.0.0")
	for range maxLimiters {
		if !l.allow(addr) {
			t.Fatalf("%s may not", addr)
		}
		addr = addr.Next()
	}
	if l.allow(addr) {
		t.Error("one more than are remembered may")
	}
	for _, b := range l.by {
		b.used = b.used.Add(-2 * forgetAfter)
	}
	if !l.allow(addr) || len(l.by) != 1 {
		t.Errorf("%d are remembered", len(l.by))
	}
}
