package launch

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"claudemesh/peer"
)

const (
	// LocalBroker is where a broker of this machine listens unless told
	// otherwise.
	LocalBroker  = "ws://127.0.0.1:7900/ws"
	brokerStarts = 20 * time.Second
	probeTime    = time.Second
)

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
// broker.log in the configuration directory what goes wrong.
func (h *Host) StartBroker(ctx context.Context) error {
	log, err := h.brokerLog()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(h.Executable, "serve")
	cmd.Env, cmd.Stderr = hostEnviron(), log // its output has an invite, which is no matter for a log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a broker: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // the broker outlives us, and so this
	ctx, cancel := context.WithTimeout(ctx, brokerStarts)
	defer cancel()
	for {
		if c, err := peer.LoadConfig(h.ConfigDir); err == nil && len(c.Meshes) > 0 && BrokerRuns(ctx, c.Meshes[0].BrokerURL) {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the broker ended at once (%v); %s says why", err, log.Name())
		case <-ctx.Done():
			return fmt.Errorf("the broker does not answer after %v; %s may say why", brokerStarts, log.Name())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
