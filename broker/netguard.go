package broker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"claudemesh/wire"
)

// errAddress refuses to connect to an address. It does not say to which: that
// would tell a member what names mean in networks that are not its own.
var errAddress = errors.New("the host has an address that watches may not reach; the operator can allow it with --watch-allow")

// A netGuard says which addresses watches may reach: those of the public
// Internet, and what the operator allows.
type netGuard struct {
	allow   []netip.Prefix
	special []netip.Prefix
}

func newNetGuard(allow []netip.Prefix) netGuard {
	g := netGuard{allow: allow}
	// The special-purpose registries of IANA, for IPv6 within 2000::/3, and the
	// one public address at which a cloud (Azure) tells machines their secrets.
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		g.special = append(g.special, netip.MustParsePrefix(p))
	}
	return g
}

// admits reports whether an address may be reached. One of IPv4 written as one
// of IPv6 is what it is.
func (g netGuard) admits(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case slices.ContainsFunc(g.allow, within):
		return true
	case !a.IsGlobalUnicast(), slices.ContainsFunc(g.special, within):
		return false
	}
	return a.Is4() || a.As16()[0]>>5 == 1 // 2000::/3
}

// control is called for each address that is about to be connected to, after
// its name was resolved: what a name meant before does not count.
func (g netGuard) control(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") || !g.admits(ap.Addr()) {
		return errAddress
	}
	return nil
}

// checkHost refuses at once what can never be reached. What a name means is
// found when it is connected to.
func (g netGuard) checkHost(host string) error {
	refused := wire.Errorf(wire.BadRequest, "watches may not reach %s: only public addresses, and those that the operator allows with --watch-allow", wire.Shorten(host, 80))
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(name); err == nil {
		if !g.admits(a) {
			return refused
		}
		return nil
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if !g.admits(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
			return refused
		}
		return nil
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == "" {
		return wire.Errorf(wire.BadRequest, "%s is no host: write an address in full, as 192.0.2.1", wire.Shorten(host, 80))
	}
	return nil
}

// parsePrefixes reads a setting of addresses that may be reached.
func parsePrefixes(flag, setting string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range list(setting) {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--%s must be addresses or networks such as 10.0.0.0/8, separated by commas", flag)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
