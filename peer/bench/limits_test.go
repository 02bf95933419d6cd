package bench

import (
	"context"
	"net"
	"os"
	"testing"
	"time"
)

// bareServer serves in this process and returns the address.
func bareServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serveBare(ctx, ln) }()
	t.Cleanup(func() {
		ln.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func TestEveryLimitIsMeasured(t *testing.T) {
	ctx, addr, dir := t.Context(), bareServer(t), t.TempDir()
	const d = time.Nanosecond // as it is on a slow machine
	if times, err := roundTrips(ctx, addr, d); err != nil || len(times) == 0 {
		t.Errorf("round trips: %v, %v", times, err)
	}
	if times, err := syncs(ctx, dir, d); err != nil || len(times) == 0 {
		t.Errorf("syncs: %v, %v", times, err)
	}
	for _, n := range []int{1, 50} {
		if rate, err := groupCommits(ctx, dir, n, d); err != nil || rate <= 0 {
			t.Errorf("group commits of %d: %v, %v", n, rate, err)
		}
	}
	if times, err := bareFanouts(ctx, addr, 30, 2*readBuffer, d); err != nil || len(times) < 3 {
		t.Errorf("fan-outs: %v, %v", times, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestMeasuringEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	const forever = time.Hour
	if _, err := roundTrips(ctx, "127.0.0.1:1", forever); err == nil {
		t.Error("round trips went on")
	}
	if _, err := syncs(ctx, t.TempDir(), forever); err == nil {
		t.Error("syncs went on")
	}
	if _, err := groupCommits(ctx, t.TempDir(), 4, forever); err == nil {
		t.Error("group commits went on")
	}
}
