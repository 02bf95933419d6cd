package broker

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"claudemesh/wire"
)

// Config is how a broker is set up. Begin with Defaults.
type Config struct {
	Listen    string // host:port
	Data      string // data directory
	PublicURL string // as others reach the broker: http(s)://host[:port]; empty derives it from Listen

	LegacyClients       bool   // serve unsigned hooks and uploads from addresses with an open session
	RequireSessionProof bool   // refuse session keys that are not proven, of older clients too
	AllowOrigins        string // web origins that may call, separated by commas; none by default
	AllowHosts          string // host names beside the obvious ones that requests may name

	MaxConnections     int           // sessions per mesh
	MaxFrame           int           // bytes of an ordinary frame
	MaxSockets         int           // sockets per address that have not said hello
	Rate               float64       // frames a second on one connection
	Burst              int           // frames at once
	HTTPRate           float64       // changing HTTP requests a minute from one address
	WatchAllow         string        // addresses and networks that watches may reach beside the public ones, separated by commas
	MemberWatches      int           // URLs watched for one member
	MaxWatches         int           // URLs watched for one mesh
	WebhookRate        float64       // requests a minute to one webhook
	Services           string        // who may have the broker run services: on, admins or off
	MaxServices        int           // services of a mesh
	ServiceAllow       string        // addresses and networks that services may reach beside the public ones, separated by commas
	ServiceDirs        string        // directories that services may be deployed from, separated by commas
	ServiceHostNetwork bool          // services may have all of the machine's network
	ServiceMemory      int           // MB that a service may have
	ServiceBuilds      int           // services that are built at a time
	MailboxCap         int           // messages waiting for one recipient
	QueueBytes         int           // outbound bytes waiting for one connection
	QueueFrames        int           // outbound frames waiting for one connection
	MaxFile            int64         // bytes of a shared file
	FileQuota          int64         // bytes of all shared files of a mesh
	MinFree            int64         // bytes of the disk that shared files leave free; 0 leaves none
	MaxTransfers       int           // uploads and downloads of a mesh at a time
	Grace              time.Duration // a session outlives its socket by this
	Lease              time.Duration // a pushed message is offered again after it
	StatusTTL          time.Duration // working becomes idle after it
	HookFresh          time.Duration // a lower-ranked status does not replace one younger
	AdoptAfter         time.Duration // mail of a session gone for this goes to its member
	Retention          time.Duration // finished messages are kept for message_status
	AuditKeep          int           // entries of a mesh's audit log; the oldest beyond are pruned
	ShutdownWithin     time.Duration // bound of a graceful shutdown

	newRunner func(*mesh) (serviceRunner, error) // runs services; nil for what runs them in truth
	fetch     bundleFetcher                      // of bundles that need a program; nil for what fetches them in truth

	Log     *slog.Logger // where the broker logs; never contents or secrets
	Version string       // of the program, for /health
	GitSHA  string       // of the program, for /health
}

// Defaults returns the configuration of a broker that nobody has configured.
func Defaults() Config {
	return Config{
		Listen: "127.0.0.1:7900", MaxConnections: 100, MaxFrame: wire.MaxOrdinaryBytes, MaxSockets: 256,
		Rate: 1000, Burst: 2000, HTTPRate: 600, WebhookRate: 60, Services: servicesOn, MaxServices: 20, ServiceBuilds: 2, ServiceMemory: 2048, MemberWatches: 20, MaxWatches: 100, MailboxCap: 10_000, QueueBytes: 8 << 20, QueueFrames: 16384,
		MaxFile: 4 << 30, FileQuota: 20 << 30, MinFree: 256 << 20, MaxTransfers: 64,
		Grace: wire.Grace, Lease: wire.Lease, StatusTTL: time.Minute, HookFresh: 30 * time.Second,
		AdoptAfter: 24 * time.Hour, Retention: 7 * 24 * time.Hour, AuditKeep: wire.MaxAudit, ShutdownWithin: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler), Version: "dev", GitSHA: "unknown",
	}
}

// Flags defines a flag for each setting, with the values of c as defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, "listen", c.Listen, "listen on `host:port`; port 0 takes a free one")
	fs.StringVar(&c.Data, "data", c.Data, "keep everything in `directory`")
	fs.StringVar(&c.PublicURL, "public-url", c.PublicURL, "be known as `url`, for invites, behind a proxy for instance")
	fs.BoolVar(&c.LegacyClients, "legacy-clients", c.LegacyClients, "serve unsigned hooks and uploads of older clients, from addresses with an open session")
	fs.BoolVar(&c.RequireSessionProof, "require-session-proof", c.RequireSessionProof, "refuse older clients that do not prove their session key")
	fs.StringVar(&c.AllowOrigins, "allow-origin", c.AllowOrigins, "let web pages of these `origins` call, separated by commas")
	fs.StringVar(&c.AllowHosts, "allow-host", c.AllowHosts, "answer requests for these host `names` too, separated by commas")
	fs.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "admit at most `n` sessions per mesh")
	fs.IntVar(&c.MaxFrame, "max-frame", c.MaxFrame, "take ordinary frames of at most `bytes`")
	fs.IntVar(&c.MaxSockets, "max-sockets", c.MaxSockets, "hold at most `n` sockets per address that have not said hello")
	fs.Float64Var(&c.Rate, "rate", c.Rate, "take `n` frames a second from one connection")
	fs.IntVar(&c.Burst, "burst", c.Burst, "take `n` frames at once from one connection")
	fs.Float64Var(&c.HTTPRate, "http-rate", c.HTTPRate, "take `n` changing HTTP requests a minute from one address")
	fs.Float64Var(&c.WebhookRate, "webhook-rate", c.WebhookRate, "take `n` requests a minute to one webhook")
	fs.StringVar(&c.WatchAllow, "watch-allow", c.WatchAllow, "let URL watches reach these private `networks` too, such as 10.1.0.0/16, separated by commas")
	fs.IntVar(&c.MemberWatches, "member-watches", c.MemberWatches, "watch at most `n` URLs for one member")
	fs.IntVar(&c.MaxWatches, "max-watches", c.MaxWatches, "watch at most `n` URLs for one mesh")
	fs.StringVar(&c.Services, "services", c.Services, "let `whom` have services run: on for every member, admins, or off")
	fs.IntVar(&c.MaxServices, "max-services", c.MaxServices, "run at most `n` services per mesh")
	fs.StringVar(&c.ServiceAllow, "service-allow", c.ServiceAllow, "let services, and what installs them, reach these private `networks` too, such as 10.1.0.0/16, separated by commas")
	fs.StringVar(&c.ServiceDirs, "service-dirs", c.ServiceDirs, "let services be deployed from what is below these `directories` of this machine, separated by commas")
	fs.BoolVar(&c.ServiceHostNetwork, "service-host-network", c.ServiceHostNetwork, "let services that ask for it reach all that this machine reaches, private networks too")
	fs.IntVar(&c.ServiceMemory, "service-memory", c.ServiceMemory, "let a service have at most this many `MB` of memory")
	fs.IntVar(&c.ServiceBuilds, "service-builds", c.ServiceBuilds, "build at most `n` services at a time")
	fs.IntVar(&c.MailboxCap, "mailbox-cap", c.MailboxCap, "keep at most `n` messages waiting for one recipient")
	fs.IntVar(&c.QueueBytes, "queue-bytes", c.QueueBytes, "close a connection that leaves `n` bytes unread")
	fs.IntVar(&c.QueueFrames, "queue-frames", c.QueueFrames, "close a connection that leaves `n` frames unread")
	fs.Var((*byteSize)(&c.MaxFile), "max-file", "take shared files of at most `size`, such as 500MiB")
	fs.Var((*byteSize)(&c.FileQuota), "file-quota", "keep at most this `size` of shared files per mesh")
	fs.Var((*byteSize)(&c.MinFree), "min-free", "refuse shared files that would leave less than this `size` of the disk free")
	fs.IntVar(&c.MaxTransfers, "max-transfers", c.MaxTransfers, "carry at most `n` uploads and downloads per mesh at a time")
	fs.DurationVar(&c.Grace, "grace", c.Grace, "keep a session this `long` after its socket went")
	fs.DurationVar(&c.Lease, "lease", c.Lease, "offer a pushed message again after this `long` without an answer")
	fs.DurationVar(&c.StatusTTL, "status-ttl", c.StatusTTL, "take a session for idle that was working this `long` ago")
	fs.DurationVar(&c.HookFresh, "hook-fresh", c.HookFresh, "let a hook's report stand this `long` against an inferred one")
	fs.DurationVar(&c.AdoptAfter, "adopt-after", c.AdoptAfter, "give a member the mail of a session that is gone this `long`")
	fs.DurationVar(&c.Retention, "retention", c.Retention, "keep the trail of finished messages this `long`")
	fs.IntVar(&c.AuditKeep, "audit-keep", c.AuditKeep, "keep the newest `n` entries of the audit log of a mesh")
}

// Check returns what is wrong with the configuration, naming the flag.
func (c *Config) Check() error {
	for _, n := range []struct {
		flag  string
		value float64
	}{
		{"max-connections", float64(c.MaxConnections)}, {"max-frame", float64(c.MaxFrame)}, {"max-sockets", float64(c.MaxSockets)},
		{"rate", c.Rate}, {"burst", float64(c.Burst)}, {"http-rate", c.HTTPRate}, {"webhook-rate", c.WebhookRate},
		{"member-watches", float64(c.MemberWatches)}, {"max-watches", float64(c.MaxWatches)}, {"mailbox-cap", float64(c.MailboxCap)},
		{"queue-bytes", float64(c.QueueBytes)}, {"queue-frames", float64(c.QueueFrames)}, {"grace", float64(c.Grace)},
		{"max-file", float64(c.MaxFile)}, {"file-quota", float64(c.FileQuota)}, {"max-transfers", float64(c.MaxTransfers)},
		{"lease", float64(c.Lease)}, {"status-ttl", float64(c.StatusTTL)}, {"hook-fresh", float64(c.HookFresh)},
		{"adopt-after", float64(c.AdoptAfter)}, {"retention", float64(c.Retention)}, {"audit-keep", float64(c.AuditKeep)}, {"max-services", float64(c.MaxServices)}, {"service-builds", float64(c.ServiceBuilds)}, {"service-memory", float64(c.ServiceMemory)},
	} {
		if !(n.value > 0) {
			return fmt.Errorf("--%s must be greater than zero", n.flag)
		}
	}
	if c.MaxFrame > wire.MaxFrameBytes {
		return fmt.Errorf("--max-frame must be at most %d, the limit of any frame", wire.MaxFrameBytes)
	}
	if c.Data == "" || !filepath.IsAbs(c.Data) {
		return fmt.Errorf("--data must be an absolute path, not %q", c.Data)
	}
	if _, err := parsePrefixes("watch-allow", c.WatchAllow); err != nil {
		return err
	}
	if err := c.checkServices(); err != nil {
		return err
	}
	return c.checkPublicURL()
}

func (c *Config) checkServices() error {
	if c.Services != servicesOn && c.Services != servicesAdmins && c.Services != servicesOff {
		return fmt.Errorf("--services must be %s, %s or %s, not %q", servicesOn, servicesAdmins, servicesOff, c.Services)
	}
	if _, err := parsePrefixes("service-allow", c.ServiceAllow); err != nil {
		return err
	}
	for _, dir := range c.serviceDirs() {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("--service-dirs must be absolute paths, separated by commas, not %q", dir)
		}
	}
	return nil
}

// serviceDirs are the directories that services may be deployed from.
func (c *Config) serviceDirs() []string {
	return strings.FieldsFunc(c.ServiceDirs, func(r rune) bool { return r == ',' })
}

func (c *Config) checkPublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return errors.New("--public-url must be http://host or https://host, with a port if it is not the usual one, and nothing more")
	}
	return nil
}

// SocketURL returns the WebSocket URL of a broker that listens on addr.
func (c *Config) SocketURL(addr netip.AddrPort) string {
	if c.PublicURL != "" {
		u, _ := url.Parse(c.PublicURL) // checked by Check
		return "ws" + strings.TrimPrefix(u.Scheme, "http") + "://" + u.Host + "/ws"
	}
	host := addr.Addr()
	if host.IsUnspecified() {
		host = lanAddress()
	}
	return "ws://" + netip.AddrPortFrom(host, addr.Port()).String() + "/ws"
}

// lanAddress returns the address under which other machines of the local
// network reach this one, loopback if it is in none.
func lanAddress() netip.Addr {
	all, _ := net.InterfaceAddrs() // none is as good as an error
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
			return p.Addr()
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// list splits a setting at its commas.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
