package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"claudemesh/peer/cli"
)

// A rival is another broker on this machine, that is to make the same messages
// durable.
type rival struct {
	child *cli.Child
	addr  string
	open  func(ctx context.Context, addr string, i, size int) (*publisher, error)
}

// rivals are the brokers that are found in PATH.
type rivals struct {
	redis, nats *rival // nil without its program
}

// startRivals starts what is installed, with its data below dir.
func startRivals(ctx context.Context, dir string) (_ *rivals, err error) {
	rs := &rivals{}
	for _, r := range []struct {
		program string
		start   func(context.Context, string) (*rival, error)
		into    **rival
	}{{redisProgram, startRedis, &rs.redis}, {natsProgram, startNATS, &rs.nats}} {
		if _, err := exec.LookPath(r.program); err != nil {
			continue
		}
		data := filepath.Join(dir, r.program)
		err := os.Mkdir(data, 0o700)
		if err == nil {
			*r.into, err = r.start(ctx, data)
		}
		if err != nil {
			rs.close()
			return nil, fmt.Errorf("start %s: %w", r.program, err)
		}
	}
	return rs, nil
}

func (rs *rivals) close() {
	for _, r := range []*rival{rs.redis, rs.nats} {
		if r != nil {
			r.child.Kill() // what it holds is removed anyway
		}
	}
}

// rate returns how many messages of size bytes a second n clients get
// acknowledged; 0 of no rival.
func (r *rival) rate(ctx context.Context, n, size int, d time.Duration) (float64, error) {
	if r == nil {
		return 0, nil
	}
	all, err := publishers(ctx, n, func(ctx context.Context, i int) (*publisher, error) { return r.open(ctx, r.addr, i, size) })
	if err != nil {
		return 0, err
	}
	defer closeAll(all)
	return publish(ctx, all, d)
}

const rivalStarts = 15 * time.Second

// startRival starts a server and waits until it takes connections.
func startRival(ctx context.Context, cmd *exec.Cmd, port int, open func(context.Context, string, int, int) (*publisher, error)) (*rival, error) {
	child, err := cli.StartChild(cmd)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, rivalStarts)
	defer cancel()
	r := &rival{child: child, addr: fmt.Sprintf("127.0.0.1:%d", port), open: open}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
		if err == nil {
			conn.Close()
			return r, nil
		}
		select {
		case <-again.C:
		case <-child.Done():
			return nil, child.Failure()
		case <-ctx.Done():
			child.Kill()
			return nil, err
		}
	}
}

// freePort returns a port that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
