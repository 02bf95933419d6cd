package cli

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// A transferBar shows how far a transfer has come, to a person, if it takes
// over a second.
type transferBar struct {
	what        string
	begun       time.Time
	now         func() time.Time
	done, total atomic.Int64
}

// transfer begins to show a transfer; see Progress for the function that ends it.
func (e *Env) transfer(what string) (b *transferBar, done func()) {
	b = &transferBar{what: what, begun: e.Now(), now: e.Now}
	return b, e.ProgressOf(b.String)
}

// moved is told how many bytes of how many, 0 if unknown, have moved.
func (b *transferBar) moved(done, total int64) {
	b.done.Store(done)
	b.total.Store(total)
}

const barWidth = 24

// String returns the line: what, a bar, and how much how fast.
func (b *transferBar) String() string {
	done, total := b.done.Load(), b.total.Load()
	if done == 0 {
		return b.what
	}
	rate := sizeOf(int64(float64(done)/max(b.now().Sub(b.begun).Seconds(), 0.001))) + "/s"
	if total <= 0 {
		return fmt.Sprintf("%s  %s  %s", b.what, sizeOf(done), rate)
	}
	full := int(min(done, total) * barWidth / total)
	return fmt.Sprintf("%s  [%s%s] %d %%  %s of %s  %s", b.what, strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		min(done, total)*100/total, sizeOf(done), sizeOf(total), rate)
}

// sizeOf writes a number of bytes for people.
func sizeOf(n int64) string {
	units := []string{"TiB", "GiB", "MiB", "KiB"}
	for i, u := range units {
		if size := int64(1) << (10 * (len(units) - i)); n >= size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(size), u)
		}
	}
	return many(int(n), "byte")
}
