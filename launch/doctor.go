package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const brokerTime = 4 * time.Second

// A Check is something that must hold for a session to be a peer that hears
// of its mail.
type Check struct {
	Name   string `json:"check"` // what must hold
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was found
	Hint   string `json:"hint,omitempty"` // what to do
}

// Diagnosis is what Doctor found.
type Diagnosis struct {
	OK     bool    `json:"ok"` // whether all checks hold
	Checks []Check `json:"checks"`
	// Session says how mail reaches the model of the session that this runs in;
	// null outside of one, or if its MCP server does not answer.
	Session *peer.WaysAnswer `json:"session"`
}

func holds(name, detail string) Check { return Check{Name: name, OK: true, Detail: detail} }

func fails(name string, err error, hint string) Check {
	return Check{Name: name, Detail: err.Error(), Hint: hint}
}

// Doctor looks for what keeps sessions from being peers, without changing
// anything.
func (h *Host) Doctor(ctx context.Context) Diagnosis {
	d := Diagnosis{Checks: []Check{checkHost(), h.checkServer(), h.checkSettings(), h.checkOrphans(), checkRuntime()}}
	c, err := peer.LoadConfig(h.ConfigDir)
	if err != nil {
		d.Checks = append(d.Checks, fails("configuration", err, "nothing else works before; who moves it away has to join again"))
	} else {
		d.Checks = append(append(d.Checks, checkConfig(c)), checkMeshes(ctx, c)...)
	}
	if woken := h.Woken(); len(woken) > 0 {
		d.Checks = append(d.Checks, holds("closed sessions that mail wakes", strings.Join(woken, ", ")+"; `claudemesh launch --stop-waking <id>` ends that"))
	}
	if session, err := peer.DialHost(h.Getenv); err == nil {
		if ways, err := session.Ways(ctx); err == nil {
			d.Session = &ways
		}
	}
	d.OK = true
	for _, check := range d.Checks {
		d.OK = d.OK && check.OK
	}
	return d
}

func checkHost() Check {
	const name = "Claude Code"
	path, err := claude()
	if err != nil {
		return fails(name, err, "install it with `npm install -g @anthropic-ai/claude-code`, or put it on PATH")
	}
	return holds(name, path)
}

// checkServer looks for the MCP server, and whether what it names can be
// started.
func (h *Host) checkServer() Check {
	const name = "MCP server"
	doc, err := readDoc(h.Global)
	if err != nil {
		return fails(name, err, "correct the file; Claude Code cannot read it either")
	}
	entry, err := doc.get("mcpServers", serverName)
	var s server
	if err == nil && entry != nil {
		err = json.Unmarshal(entry, &s)
	}
	if err != nil || s.Command == "" {
		return fails(name, fmt.Errorf("%s has no server %s", h.Global, serverName), "run `claudemesh install`")
	}
	if _, err := exec.LookPath(s.Command); err != nil {
		return fails(name, fmt.Errorf("%s names %s, which cannot be started", h.Global, s.Command), "run `claudemesh install` again")
	}
	return holds(name, fmt.Sprintf("%s in %s", strings.Join(append([]string{s.Command}, s.Args...), " "), h.Global))
}

// checkSettings looks for the permission and the hooks.
func (h *Host) checkSettings() Check {
	const name = "hooks and permission"
	doc, err := readDoc(h.settings())
	if err != nil {
		return fails(name, err, "correct the file; Claude Code ignores it whole")
	}
	missing, err := doc.fulfil(h.settingsWishes(true))
	if err != nil {
		return fails(name, fmt.Errorf("%s: %w", h.settings(), err), "correct the file, then run `claudemesh install`")
	}
	var paths []string
	for _, c := range missing {
		if path := strings.Join(c.Path, "."); c.Element && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if len(paths) > 0 {
		return fails(name, fmt.Errorf("%s lacks entries in %s", h.settings(), strings.Join(paths, ", ")),
			"run `claudemesh install`; without them mail waits until a tool is used")
	}
	return holds(name, "all in "+h.settings())
}

// readDoc reads a settings file; one that is not there is empty.
func readDoc(path string) (*jsonDoc, error) {
	data, _, err := readSettings(path)
	if err != nil {
		return nil, err
	}
	if data == nil {
		data = []byte("{}")
	}
	doc := &jsonDoc{data: data}
	if _, err := doc.root(); err != nil {
		return nil, fmt.Errorf("%s is not valid: %w", path, err)
	}
	return doc, nil
}

func checkRuntime() Check {
	const name = "runtime directory"
	dir, err := peer.RuntimeDir()
	if err != nil {
		return fails(name, err, "without it hooks bring no mail and nothing wakes a session")
	}
	return holds(name, dir)
}

func checkConfig(c *peer.Config) Check {
	const name = "configuration"
	switch {
	case c.Exposed():
		return fails(name, fmt.Errorf("%s has mode %04o: others can read your keys", c.Path(), c.Mode()), "run `chmod 600 "+quote(c.Path())+"`")
	case len(c.Meshes) == 0:
		return Check{name, true, c.Path() + ": no mesh joined", "run `claudemesh launch`, or `claudemesh join <link>`"}
	}
	return holds(name, c.Path())
}

// checkMeshes asks all brokers at the same time.
func checkMeshes(ctx context.Context, c *peer.Config) []Check {
	ctx, cancel := context.WithTimeout(ctx, brokerTime)
	defer cancel()
	checks := make([]Check, len(c.Meshes))
	var wg sync.WaitGroup
	for i := range c.Meshes {
		wg.Go(func() { checks[i] = checkMesh(ctx, &c.Meshes[i]) })
	}
	wg.Wait()
	return checks
}

// CheckMesh looks whether a session can be in a mesh now: keys, broker,
// membership and clocks. It takes 4 s at most.
func CheckMesh(ctx context.Context, m *peer.Mesh) Check {
	ctx, cancel := context.WithTimeout(ctx, brokerTime)
	defer cancel()
	return checkMesh(ctx, m)
}

var (
	publicKey = regexp.MustCompile(`^[0-9a-f]{64}$`)
	secretKey = regexp.MustCompile(`^[0-9a-f]{128}$`)
)

// checkMesh holds the keys of a mesh to their form and says hello to its
// broker.
func checkMesh(ctx context.Context, m *peer.Mesh) Check {
	name := "mesh " + m.Slug
	rejoin := "join again with a new invite, after `claudemesh leave " + m.Slug + " --local`"
	switch {
	case !publicKey.MatchString(m.Pubkey):
		return fails(name, errors.New("its public key in the configuration is not 64 hex digits"), rejoin)
	case !secretKey.MatchString(m.SecretKey):
		return fails(name, errors.New("its secret key in the configuration is not 128 hex digits"), rejoin)
	case !strings.HasSuffix(m.SecretKey, m.Pubkey):
		return fails(name, errors.New("its keys in the configuration do not belong together"), rejoin)
	}
	client, err := peer.Open(ctx, peer.Options{Mesh: *m, Transient: true, Channel: "cli", PeerType: "human"})
	refusal, refused := errors.AsType[*wire.Error](err)
	switch {
	case errors.Is(err, peer.ErrRevoked), refused && refusal.Code == wire.Unauthorized:
		return fails(name, fmt.Errorf("the broker no longer knows you as a member: %w", err), rejoin)
	case errors.Is(err, peer.ErrUnreachable):
		return fails(name, err, "start it with `claudemesh serve` on its machine, or see whether this machine can reach it")
	case err != nil:
		return fails(name, err, "`claudemesh status` says more")
	}
	defer client.Close(ctx)
	if api, err := m.API(); err == nil {
		if skew, err := api.Skew(ctx); err == nil && skew.Abs() > wire.MaxSkew {
			return fails(name, fmt.Errorf("the broker's clock is %v from this machine's", skew.Round(time.Second)), "set the clocks of both")
		}
	}
	return holds(name, m.BrokerURL+" answers")
}
