package confine

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func TestAllowedHostsAreMatchedExactly(t *testing.T) {
	for _, c := range []struct {
		list []string
		host string
		port int
		want bool
	}{
		{[]string{"api.example.com"}, "api.example.com", 443, true},
		{[]string{"api.example.com"}, "api.example.com", 80, true},
		{[]string{"api.example.com"}, "API.Example.com.", 443, true},
		{[]string{"api.example.com"}, "api.example.com", 8443, false},
		{[]string{"api.example.com:8443"}, "api.example.com", 8443, true},
		{[]string{"api.example.com:8443"}, "api.example.com", 443, false},
		{[]string{"api.example.com"}, "x.api.example.com", 443, false},
		{[]string{"api.example.com"}, "api.example.com.evil.org", 443, false},
		{[]string{"*.example.com"}, "a.b.example.com", 443, true},
		{[]string{"*.example.com"}, "example.com", 443, false},
		{[]string{"*.example.com"}, "evilexample.com", 443, false},
		{[]string{"*.example.com:22"}, "git.example.com", 22, true},
		{[]string{"192.0.2.1"}, "192.0.2.1", 443, true},
		{[]string{"192.0.2.1"}, "::ffff:192.0.2.1", 443, true},
		{[]string{"2001:db8::1"}, "2001:db8:0::1", 443, true},
		{[]string{"[2001:db8::1]:22"}, "2001:db8::1", 22, true},
		{[]string{"a.example.com"}, "a.example.com\x00", 443, false},
		{[]string{"a.example.com"}, "", 443, false},
		{nil, "example.com", 443, false},
	} {
		all, err := ParseAllowed(c.list)
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
			continue
		}
		if got := all.admits(c.host, c.port); got != c.want {
			t.Errorf("%q admits %q at %d: %v", c.list, c.host, c.port, got)
		}
	}
}

func TestWhatIsNoHostIsRefused(t *testing.T) {
	for _, entry := range []string{
		"", "*", "*.", ".example.com", "https://example.com", "example.com/path", "example.com:0", "example.com:70000", "example.com:http",
		"a*.example.com", "*.*.example.com", "127.1", "0x7f000001", "10.0.0.0/8", "fe80::1%eth0", "[::1", "exa mple.com", "a..b", strings.Repeat("a", 300),
	} {
		if all, err := ParseAllowed([]string{entry}); err == nil {
			t.Errorf("%q is %v", entry, all)
		}
	}
}

func FuzzAllowed(f *testing.F) {
	f.Add("*.example.com:8443", "a.example.com", 8443)
	f.Add("[::1]:1", "::1", 1)
	f.Add("192.0.2.1", "192.0.2.1", 80)
	f.Fuzz(func(t *testing.T, entry, host string, port int) {
		all, err := ParseAllowed([]string{entry})
		if err != nil || !all.admits(host, port) {
			return
		}
		if port <= 0 || port > 65535 {
			t.Errorf("port %d", port)
		}
		// What is admitted is one of: the very address, the very name, a name below.
		h := all[0]
		if a, err := netip.ParseAddr(canonical(host)); err == nil {
			if a.Unmap().String() != h.name {
				t.Errorf("%q admits %q", entry, host)
			}
			return
		}
		name := strings.ToLower(strings.TrimSuffix(strings.ToLower(host), "."))
		if name != h.name && !(h.suffix && strings.HasSuffix(name, "."+h.name)) {
			t.Errorf("%q admits %q", entry, host)
		}
		if strings.ContainsAny(host, "/\\@#? \x00%:") {
			t.Errorf("%q is no name", host)
		}
		if _, _, err := net.SplitHostPort(net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			t.Error(err)
		}
	})
}
