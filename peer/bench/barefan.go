package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A bareFan is n connections to the bare server on which the same bytes arrive.
type bareFan struct {
	source net.Conn
	sinks  []net.Conn
	size   int
}

// pushSize is about how many bytes a push with a text of that size has: the
// text in base64 and 500 of what is around it.
func pushSize(size int) int { return 500 + base64.StdEncoding.EncodedLen(size) }

func openFan(ctx context.Context, addr string, n, size int) (*bareFan, error) {
	f := &bareFan{sinks: make([]net.Conn, n), size: size}
	err := inParallel(ctx, n, func(ctx context.Context, i int) (err error) {
		if f.sinks[i], err = dialBare(ctx, addr, bareSink); err != nil {
			return err
		}
		_, err = io.ReadFull(f.sinks[i], make([]byte, 1))
		return err
	})
	if err == nil {
		f.source, err = dialBare(ctx, addr, bareSource)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *bareFan) close() {
	for _, c := range append(f.sinks, f.source) {
		if c != nil {
			c.Close()
		}
	}
}

// run sends to all connections for some time, each time when the last of them
// has what was sent before, and returns after which times that was.
func (f *bareFan) run(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	var readers sync.WaitGroup
	arrived := make(chan error, len(f.sinks))
	for _, c := range f.sinks {
		c.SetReadDeadline(time.Time{})
		readers.Go(func() {
			p := make([]byte, f.size)
			r := bufio.NewReaderSize(c, readBuffer)
			for {
				_, err := io.ReadFull(r, p)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
				arrived <- err
				if err != nil {
					return
				}
			}
		})
	}
	times, err := f.rounds(ctx, d, arrived)
	for _, c := range f.sinks {
		c.SetReadDeadline(time.Unix(1, 0))
	}
	readers.Wait()
	return times, err
}

func (f *bareFan) rounds(ctx context.Context, d time.Duration, arrived <-chan error) (times []time.Duration, err error) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(f.size))
	frame = append(frame, make([]byte, f.size)...)
	for start := time.Now(); time.Since(start) < d || len(times) < 3; {
		from := time.Now()
		if _, err := f.source.Write(frame); err != nil {
			return nil, err
		}
		for range f.sinks {
			select {
			case err := <-arrived:
				if err != nil {
					return nil, err
				}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		times = append(times, time.Since(from))
	}
	return times, nil
}

// bareFanouts opens connections, measures and closes them.
func bareFanouts(ctx context.Context, addr string, n, size int, d time.Duration) ([]time.Duration, error) {
	f, err := openFan(ctx, addr, n, size)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.run(ctx, d)
}
