package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"claudemesh/peer"
)

// brokerStarts bounds how long a broker may take until it listens.
const brokerStarts = 20 * time.Second

// A LocalBroker is a broker of one's own: another process of this program that
// listens on a free port of the loopback interface and keeps everything,
// its user's configuration too, in one directory.
type LocalBroker struct {
	*Child
	// Serving is what the broker said when it listened.
	Serving

	dir   string
	flags []string
}

// StartLocalBroker starts a broker in dir, with flags of serve beside those
// for the address and the data, and waits until it listens. The first start in
// a directory makes the mesh home, with its owner as a member: see Config. The
// caller ends the broker with Stop or Kill.
func StartLocalBroker(ctx context.Context, dir string, flags ...string) (*LocalBroker, error) {
	b := &LocalBroker{dir: dir, flags: flags}
	if err := b.start(ctx, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	return b, nil
}

// Restart starts the broker again at the address it had, after it has ended.
func (b *LocalBroker) Restart(ctx context.Context) error { return b.start(ctx, b.Listen) }

// ConfigDir returns the configuration directory of the broker's user.
func (b *LocalBroker) ConfigDir() string { return filepath.Join(b.dir, "config") }

// Config reads the configuration of the broker's user, who administers it,
// owns the mesh home and is a member of it.
func (b *LocalBroker) Config() (*peer.Config, error) { return peer.LoadConfig(b.ConfigDir()) }

func (b *LocalBroker) start(ctx context.Context, listen string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to start it as a broker: %w", err)
	}
	args := append([]string{"serve", "--json", "--listen", listen, "--data", filepath.Join(b.dir, "data")}, b.flags...)
	cmd := exec.Command(program, args...)
	cmd.Env = b.environ()
	if b.Child, err = StartChild(cmd); err != nil {
		return fmt.Errorf("start a broker: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, brokerStarts, errors.New("it took too long"))
	defer cancel()
	line, err := b.Ready(ctx)
	if err == nil {
		err = json.Unmarshal([]byte(line), &b.Serving)
	}
	if err != nil {
		b.Kill()
		return fmt.Errorf("start a broker: %w", err)
	}
	return nil
}

// environ returns the environment of the broker: that of this process without
// what would configure it otherwise or lead it to its user's files.
func (b *LocalBroker) environ() []string {
	home := filepath.Join(b.dir, "home")
	env := []string{"HOME=" + home, "USERPROFILE=" + home, "CLAUDEMESH_CONFIG_DIR=" + b.ConfigDir()}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "HOME" && name != "USERPROFILE" && !strings.HasPrefix(name, "CLAUDEMESH_") {
			env = append(env, v)
		}
	}
	return env
}
