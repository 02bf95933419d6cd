package broker

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/coder/websocket"

	"claudemesh/wire"
)

// BenchmarkSend measures durable acknowledgements with senders that each have
// one message under way, to receivers that read and acknowledge nothing.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) { benchmarkSend(b, n) })
	}
}

func benchmarkSend(b *testing.B, n int) {
	br := newBroker(b, func(c *Config) { c.MaxConnections, c.Rate, c.Burst, c.MailboxCap = 10_000, 1e9, 1e9, 1e9 })
	alice, bob := br.join("alice"), br.join("bob")
	type pair struct{ from, to *testPeer }
	pairs := make(chan pair, n)
	for i := range n {
		p := pair{alice.modern(fmt.Sprint("a", i)), bob.old(fmt.Sprint("b", i))}
		p.to.key = p.to.ack["presenceId"].(string)
		pairs <- p
	}
	for i := range n {
		p := <-pairs
		to := bob.modern(fmt.Sprint("r", i))
		p.to = to
		go func() {
			for {
				if _, _, err := to.ws.Read(context.Background()); err != nil {
					return
				}
			}
		}()
		pairs <- p
	}
	text := string(bytes.Repeat([]byte("x"), 300))
	b.SetParallelism((n + 1) / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		p := <-pairs
		defer func() { pairs <- p }()
		for i := 0; pb.Next(); i++ {
			data := must(wire.Append(nil, "", wire.Send{ID: fmt.Sprint(i, p.from.key[:8]), TargetSpec: p.to.key, Priority: wire.Now, Ciphertext: text}))
			if err := p.from.ws.Write(context.Background(), websocket.MessageText, data); err != nil {
				b.Error(err)
				return
			}
			for {
				_, r, err := p.from.ws.Read(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				if bytes.HasPrefix(r, []byte(`{"type":"ack"`)) {
					break
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
}

// BenchmarkState sets and reads a key over a socket, one request at a time.
func BenchmarkState(b *testing.B) {
	br := newBroker(b, func(c *Config) { c.Rate, c.Burst = 1e9, 1e9 })
	p := br.join("alice").modern("a")
	for _, f := range []wire.Frame{
		wire.SetState{Key: "build", Value: wire.Value(`{"status":"green","commit":"5b97e3b"}`)}, wire.GetState{Key: "build"},
	} {
		b.Run(string(f.FrameType()), func(b *testing.B) {
			data := must(wire.Append(nil, "r", f))
			for b.Loop() {
				p.write(data)
				if _, _, err := p.ws.Read(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
