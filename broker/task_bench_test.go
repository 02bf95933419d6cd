package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"claudemesh/wire"
)

// BenchmarkClaim measures the time until 100 peers that claim one task at the
// same time all know who has it, beside that until as many that send a message
// at the same time have their acknowledgements.
func BenchmarkClaim(b *testing.B) {
	const n = 100
	br := newBroker(b, func(c *Config) { c.MaxConnections, c.Rate, c.Burst, c.MailboxCap = 1000, 1e9, 1e9, 1e9 })
	m, away := br.join("alice"), br.join("away")
	peers := make([]*testPeer, n)
	for i := range peers {
		peers[i] = m.modern(fmt.Sprint("s", i))
	}
	creator := br.join("creator").modern("c")
	for _, c := range []struct {
		name string
		make func(i int) func() wire.Frame // what each sends
	}{
		{"claim", func(int) func() wire.Frame {
			id := creator.newTask("t")
			return func() wire.Frame { return wire.ClaimTask{TaskID: id, Brief: true} }
		}},
		{"send", func(int) func() wire.Frame {
			return func() wire.Frame {
				return wire.Send{TargetSpec: away.pub(), Priority: wire.Next, Ciphertext: "aGVsbG8="}
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				frame := must(wire.Append(nil, "r", c.make(i)()))
				b.StartTimer()
				won := atOnce(b, peers, frame)
				if c.name == "claim" && won != 1 {
					b.Fatalf("%d won", won)
				}
			}
		})
	}
}

// atOnce has all peers send a frame and wait for its answer, and counts those
// that were not refused.
func atOnce(b *testing.B, peers []*testPeer, frame []byte) (won int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, p := range peers {
		wg.Go(func() {
			if err := p.ws.Write(context.Background(), websocket.MessageText, frame); err != nil {
				b.Error(err)
				return
			}
			for {
				_, data, err := p.ws.Read(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				var f struct {
					Type  string `json:"type"`
					ReqID string `json:"_reqId"`
				}
				if json.Unmarshal(data, &f) != nil || f.ReqID != "r" {
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if f.Type != "error" {
					won++
				}
				return
			}
		})
	}
	wg.Wait()
	return won
}
