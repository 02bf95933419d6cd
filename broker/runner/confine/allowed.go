package confine

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Allowed are the hosts that a cell may reach.
type Allowed []allowedHost

type allowedHost struct {
	name   string // in small letters, without the dot at its end; an address as netip writes it
	suffix bool   // whatever ends with the dot and the name, not the name itself
	ports  []int
}

// ParseAllowed reads a list of hosts: a name (api.example.com), all names below
// one (*.example.com) or an address (192.0.2.1, 2001:db8::1), each with its port
// after a colon ([2001:db8::1]:8443) unless that is 443 or 80.
func ParseAllowed(list []string) (Allowed, error) {
	var all Allowed
	for _, entry := range list {
		h, err := parseAllowedHost(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

func parseAllowedHost(entry string) (allowedHost, error) {
	wrong := fmt.Errorf("network_allow: %.80q is no host: write it as api.example.com, *.example.com, api.example.com:8443 or [2001:db8::1]:443", entry)
	if len(entry) > 270 {
		return allowedHost{}, wrong
	}
	if a, err := netip.ParseAddr(entry); err == nil {
		return allowedHost{name: a.Unmap().String(), ports: []int{443, 80}}, hasNoZone(a, wrong)
	}
	h := allowedHost{name: entry, ports: []int{443, 80}}
	if strings.Contains(entry, ":") {
		host, port, err := net.SplitHostPort(entry)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || n == 0 {
			return allowedHost{}, wrong
		}
		h.name, h.ports = host, []int{int(n)}
		if a, err := netip.ParseAddr(host); err == nil {
			h.name = a.Unmap().String()
			return h, hasNoZone(a, wrong)
		}
	}
	h.name, h.suffix = strings.CutPrefix(canonical(h.name), "*.")
	if !isName(h.name) {
		return allowedHost{}, wrong
	}
	return h, nil
}

func hasNoZone(a netip.Addr, wrong error) error {
	if a.Zone() != "" {
		return wrong
	}
	return nil
}

// admits reports whether the host, a name or an address, may be reached at the port.
func (all Allowed) admits(host string, port int) bool {
	host = canonical(host)
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return false
		}
		host = a.Unmap().String()
	} else if !isName(host) {
		return false
	}
	return slices.ContainsFunc(all, func(h allowedHost) bool {
		if !slices.Contains(h.ports, port) {
			return false
		}
		if h.suffix {
			return strings.HasSuffix(host, "."+h.name)
		}
		return host == h.name
	})
}

// canonical writes a name in the one way in which names are compared.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// isName reports whether s, in small letters, is the name of a host: labels of
// letters, digits, hyphens and underscores. What a resolver might take for an
// address in a short or odd form (127.1, 0x7f000001) is none.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return !strings.HasPrefix(last, "0x") && strings.Trim(last, "0123456789") != ""
}
