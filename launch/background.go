package launch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"time"

	"claudemesh/peer"
)

const (
	localListen  = "127.0.0.1:7900" // of a broker that was not told otherwise
	brokerStarts = 20 * time.Second
	probeTime    = 4 * time.Second // where nothing listens that is known at once
)

// LocalBroker returns where a broker of this machine listens: at port 7900 of
// the loopback interface, unless CLAUDEMESH_LISTEN tells it otherwise.
func (h *Host) LocalBroker() string {
	return "ws://" + cmp.Or(h.Getenv("CLAUDEMESH_LISTEN"), localListen) + "/ws"
}

// BrokerRuns reports whether a broker answers at that address.
func BrokerRuns(ctx context.Context, brokerURL string) bool {
	api, err := peer.NewAPI(brokerURL, peer.Options{}.SessionKey) // without a key
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err = api.Health(ctx)
	return err == nil
}

// StartBroker starts a broker with its usual data in the background and waits
// until this user is a member of a mesh there, which the first start of
// a broker sees to. The broker goes on when this process ends; it writes to
// broker.log in the configuration directory what goes wrong. Which broker it was
// is kept in broker.json there, for ReviveBroker.
func (h *Host) StartBroker(ctx context.Context) error {
	var at string
	pid, err := h.serveBehind(ctx, nil, func(ctx context.Context) bool {
		c, err := peer.LoadConfig(h.ConfigDir)
		if err != nil || len(c.Meshes) == 0 {
			return false
		}
		at = c.Meshes[0].BrokerURL
		return BrokerRuns(ctx, at)
	})
	if err != nil {
		return err
	}
	return h.noteBroker(backgroundBroker{at, pid})
}

// ReviveBroker starts the broker at that address again if StartBroker has
// started it before and nothing answers there now, and reports whether it did.
// Any other broker is its owner's affair.
func (h *Host) ReviveBroker(ctx context.Context, brokerURL string) (revived bool, err error) {
	listen, ok := loopback(brokerURL)
	if !ok || h.startedBroker() != brokerURL || BrokerRuns(ctx, brokerURL) {
		return false, nil
	}
	unlock, err := lockFile(ctx, h.brokerRecord()) // of two that find it stopped one starts it
	if err != nil {
		return false, err
	}
	defer unlock()
	if BrokerRuns(ctx, brokerURL) {
		return false, nil
	}
	pid, err := h.serveBehind(ctx, []string{"--listen", listen}, func(ctx context.Context) bool { return BrokerRuns(ctx, brokerURL) })
	if err != nil {
		return false, err
	}
	return true, h.noteBroker(backgroundBroker{brokerURL, pid})
}

// loopback returns the address that a broker of this machine alone listens at.
func loopback(brokerURL string) (listen string, ok bool) {
	u, err := url.Parse(brokerURL)
	if err != nil || u.Port() == "" {
		return "", false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Host, u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// backgroundBroker is the content of broker.json.
type backgroundBroker struct {
	BrokerURL string `json:"brokerUrl"`
	PID       int    `json:"pid"` // for whoever wants to stop it
}

func (h *Host) brokerRecord() string { return filepath.Join(h.ConfigDir, "broker.json") }

// startedBroker returns the address of the broker that StartBroker started
// last, empty if there is none.
func (h *Host) startedBroker() string {
	var b backgroundBroker
	data, _, err := readSettings(h.brokerRecord())
	if err != nil || json.Unmarshal(data, &b) != nil {
		return ""
	}
	return b.BrokerURL
}

func (h *Host) noteBroker(b backgroundBroker) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return writeNew(h.brokerRecord(), append(data, '\n'), 0o600)
}

// serveBehind starts a broker with flags in the background, waits until it is
// ready and returns its process.
func (h *Host) serveBehind(ctx context.Context, flags []string, ready func(context.Context) bool) (pid int, err error) {
	log, err := h.brokerLog()
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(h.Executable, append([]string{"serve"}, flags...)...)
	cmd.Env, cmd.Stderr = hostEnviron(), log // its output has an invite, which is no matter for a log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start a broker: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // the broker outlives us, and so this
	ctx, cancel := context.WithTimeout(ctx, brokerStarts)
	defer cancel()
	for !ready(ctx) {
		select {
		case err := <-ended:
			return 0, fmt.Errorf("the broker ended at once (%v); %s says why", err, log.Name())
		case <-ctx.Done():
			return 0, fmt.Errorf("the broker does not answer after %v; %s may say why", brokerStarts, log.Name())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return cmd.Process.Pid, nil
}
