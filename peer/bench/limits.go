package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits are what the machine does without a broker, measured in the same run
// as what they are held against.
type Limits struct {
	// RoundTrip of 500 bytes over loopback TCP to another process.
	RoundTrip Spread `json:"roundTrip"`
	// Sync is one fdatasync after 8 KiB of a file were overwritten.
	Sync Spread `json:"sync"`
	// GroupCommit is how many records of 500 bytes a second become durable when
	// as many goroutines as the run had sends under way hand theirs to one that
	// appends what waits to a file and calls fdatasync once for all of it.
	GroupCommit float64 `json:"groupCommit"`
	// Redis and JetStream are how many messages of 500 bytes a second these
	// make durable for as many clients, with --peers and where installed.
	Redis     float64 `json:"redis,omitempty"`
	JetStream float64 `json:"jetStream,omitempty"`
	// Fanout is how long the last of as many TCP connections as a message had
	// recipients waits for the same bytes.
	Fanout *Spread `json:"fanout,omitempty"`
}

// L is the time in microseconds that a send to a durable broker takes at least:
// a round trip and an fdatasync, the medians of both.
func (l *Limits) L() float64 { return l.RoundTrip.P50 + l.Sync.P50 }

// limitSize is how many bytes the bare exchanges carry.
const limitSize = 500

// roundTrips sends 500 bytes back and forth for some time, once at least.
func roundTrips(ctx context.Context, addr string, d time.Duration) ([]time.Duration, error) {
	conn, err := dialBare(ctx, addr, bareEcho)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	buf := make([]byte, limitSize)
	var times []time.Duration
	for start := time.Now(); (time.Since(start) < d || len(times) == 0) && ctx.Err() == nil; {
		from := time.Now()
		if _, err := conn.Write(buf); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			return nil, err
		}
		times = append(times, time.Since(from))
	}
	return times, ctx.Err()
}

// dialBare opens a connection of a kind to the bare server.
func dialBare(ctx context.Context, addr string, kind byte) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{kind}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// syncs overwrites 8 KiB of a file again and again for some time, once at least,
// each time with an fdatasync.
func syncs(ctx context.Context, dir string, d time.Duration) (times []time.Duration, err error) {
	f, remove, err := scratch(dir)
	if err != nil {
		return nil, err
	}
	defer remove()
	block := make([]byte, 8<<10)
	for start := time.Now(); (time.Since(start) < d || len(times) < 2) && ctx.Err() == nil; {
		from := time.Now()
		if _, err := f.WriteAt(block, 0); err != nil {
			return nil, err
		}
		if err := flushData(f); err != nil {
			return nil, err
		}
		times = append(times, time.Since(from))
	}
	if len(times) == 0 {
		return nil, ctx.Err()
	}
	return times[1:], ctx.Err() // the first one makes the file grow
}

// scratch opens a file that remove closes and removes.
func scratch(dir string) (f *os.File, remove func(), err error) {
	if f, err = os.CreateTemp(dir, "bench-"); err != nil {
		return nil, nil, fmt.Errorf("measure the disk: %w", err)
	}
	return f, func() {
		f.Close()
		os.Remove(filepath.Join(dir, filepath.Base(f.Name())))
	}, nil
}

// groupCommits returns how many records a second n goroutines make durable
// through one writer.
func groupCommits(ctx context.Context, dir string, n int, d time.Duration) (float64, error) {
	f, remove, err := scratch(dir)
	if err != nil {
		return 0, err
	}
	defer remove()
	waiting := make(chan chan<- struct{}, n)
	var writers sync.WaitGroup
	start := time.Now()
	for range n {
		writers.Go(func() {
			done := make(chan struct{}, 1)
			for sent := false; (time.Since(start) < d || !sent) && ctx.Err() == nil; sent = true {
				waiting <- done
				<-done
			}
		})
	}
	go func() { // ended by the writers, and ends the loop below
		writers.Wait()
		close(waiting)
	}()
	record := make([]byte, limitSize)
	var batch []chan<- struct{}
	var buf []byte
	total := 0
	for first := range waiting {
		batch, buf = append(batch[:0], first), append(buf[:0], record...)
		for len(waiting) > 0 {
			batch, buf = append(batch, <-waiting), append(buf, record...)
		}
		if err == nil {
			if _, err = f.Write(buf); err == nil {
				err = flushData(f)
			}
		}
		total += len(batch)
		for _, done := range batch {
			done <- struct{}{}
		}
	}
	return float64(total) / time.Since(start).Seconds(), errors.Join(err, ctx.Err())
}
