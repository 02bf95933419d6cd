package bench

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

// A publisher is a client of another broker on one connection: it sends one
// durable message at a time and waits until the broker says that it is on disk.
type publisher struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte                   // sends a message
	reply   func(p *publisher) error // reads the answer
}

func newPublisher(ctx context.Context, addr string) (*publisher, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &publisher{conn: conn, r: bufio.NewReaderSize(conn, readBuffer)}, nil
}

// publishers opens n connections, which the caller closes.
func publishers(ctx context.Context, n int, open func(ctx context.Context, i int) (*publisher, error)) ([]*publisher, error) {
	all := make([]*publisher, n)
	err := inParallel(ctx, n, func(ctx context.Context, i int) (err error) {
		all[i], err = open(ctx, i)
		return err
	})
	if err != nil {
		closeAll(all)
		return nil, err
	}
	return all, nil
}

func closeAll(all []*publisher) {
	for _, p := range all {
		if p != nil {
			p.conn.Close()
		}
	}
}

// publish has all of them send for some time and returns the messages a second.
func publish(ctx context.Context, all []*publisher, d time.Duration) (float64, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	total := 0
	start := time.Now()
	for _, p := range all {
		wg.Go(func() {
			n, err := p.run(ctx, start, d)
			mu.Lock()
			defer mu.Unlock()
			total += n
			if failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	return float64(total) / time.Since(start).Seconds(), failed
}

func (p *publisher) run(ctx context.Context, start time.Time, d time.Duration) (n int, err error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for time.Since(start) < d {
		if _, err := p.conn.Write(p.request); err != nil {
			return n, err
		}
		if err := p.reply(p); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
