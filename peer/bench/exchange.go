package bench

import (
	"context"
	"io"
	"time"

	"claudemesh/peer/cli"
)

// echoCost returns the CPU time of the bare server for one exchange of 500
// bytes, with n connections that each wait for the echo before they go on. It
// is 0 where the system does not tell it.
func echoCost(ctx context.Context, server *cli.Child, addr string, n int, d time.Duration) (time.Duration, error) {
	all, err := publishers(ctx, n, func(ctx context.Context, _ int) (*publisher, error) {
		conn, err := dialBare(ctx, addr, bareEcho)
		if err != nil {
			return nil, err
		}
		buf := make([]byte, limitSize)
		return &publisher{conn: conn, request: make([]byte, limitSize), reply: func(p *publisher) error {
			_, err := io.ReadFull(p.conn, buf)
			return err
		}}, nil
	})
	if err != nil {
		return 0, err
	}
	defer closeAll(all)
	before := server.Usage().CPU
	rate, err := publish(ctx, all, d)
	if err != nil {
		return 0, err
	}
	exchanges := rate * d.Seconds()
	used := server.Usage().CPU - before
	return time.Duration(float64(used) / exchanges), nil
}
