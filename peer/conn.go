package peer

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"claudemesh/wire"
)

// A conn is one WebSocket to a broker.
type conn struct {
	// Static.
	ws     *websocket.Conn
	socket *corkedConn
	offset *time.Duration // of the broker's clock from ours, nil if unknown
	wake   chan struct{}  // holds a token while queue is not empty
	alive  atomic.Int64   // Unix nanoseconds of the broker's last sign of life

	// Owned by the reader.
	buf bytes.Buffer

	mu    sync.Mutex
	queue [][]byte // bounded by the calls and sends that may be under way, and by fileServer
}

func (k *conn) touch() { k.alive.Store(time.Now().UnixNano()) }

// read returns the next frame, which is valid until the one after it is read.
func (k *conn) read(ctx context.Context) ([]byte, error) {
	_, r, err := k.ws.Reader(ctx)
	if err != nil {
		return nil, err
	}
	if k.buf.Cap() > wire.MaxOrdinaryBytes {
		k.buf = bytes.Buffer{}
	}
	k.buf.Reset()
	if _, err := k.buf.ReadFrom(r); err != nil {
		return nil, err
	}
	k.touch()
	return k.buf.Bytes(), nil
}

// write queues a frame. It never waits.
func (k *conn) write(frame []byte) {
	k.mu.Lock()
	k.queue = append(k.queue, frame)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// waiting returns how many bytes wait to be written.
func (k *conn) waiting() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.queue {
		n += len(f)
	}
	return n
}

// writeLoop writes what is queued until ctx ends or a write fails.
func (k *conn) writeLoop(ctx context.Context) error {
	var frames [][]byte
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		k.mu.Lock()
		frames, k.queue = k.queue, frames[:0]
		k.mu.Unlock()
		if err := k.writeAll(ctx, frames); err != nil {
			return err
		}
		clear(frames)
	}
}

func (k *conn) writeAll(ctx context.Context, frames [][]byte) error {
	k.socket.cork()
	for _, f := range frames {
		if err := k.ws.Write(ctx, websocket.MessageText, f); err != nil {
			return err
		}
	}
	return k.socket.uncork()
}

// pingLoop pings the broker until ctx ends, or until the broker has been silent
// for too long, which is errDead.
func (k *conn) pingLoop(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(wire.PingEvery / 2)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if time.Since(time.Unix(0, k.alive.Load())) >= wire.DeadAfter {
			return errDead
		}
		if n%2 == 0 {
			// The pong is taken note of where it is read.
			wg.Go(func() {
				waiting, cancel := context.WithTimeout(ctx, wire.PingEvery)
				defer cancel()
				k.ws.Ping(waiting)
			})
		}
	}
}

// goodbye closes the connection and waits for the broker to do the same.
func (k *conn) goodbye() { k.ws.Close(websocket.StatusNormalClosure, "") }
