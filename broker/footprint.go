package broker

import (
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	littleAllocated = 4 << 20  // bytes between two looks, when next to nothing goes on
	muchAllocated   = 16 << 20 // bytes since memory was given back, before it is worth while again
)

// A footprint finds out when the broker has become quiet after it had much to do.
// Go keeps as much memory for garbage to come as is in use, and of that which
// thousands that arrive have left behind: more than they need while they are idle.
type footprint struct {
	looked    time.Time
	allocated uint64 // bytes, since the process began, when it looked
	released  uint64 // the same when memory was given back
}

// tend gives memory back to the system if nobody needs it now.
func (f *footprint) tend(now time.Time) {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(sample)
	if sample[0].Value.Kind() == runtimemetrics.KindUint64 && f.due(now, sample[0].Value.Uint64()) {
		debug.FreeOSMemory()
	}
}

// due reports whether memory is to be given back, when so many bytes have been
// allocated since the process began. It looks once in maxTick.
func (f *footprint) due(now time.Time, allocated uint64) bool {
	if f.looked.IsZero() {
		*f = footprint{now, allocated, allocated}
		return false
	}
	if now.Sub(f.looked) < maxTick {
		return false
	}
	quiet := allocated-f.allocated < littleAllocated
	f.looked, f.allocated = now, allocated
	if !quiet || allocated-f.released < muchAllocated {
		return false
	}
	f.released = allocated
	return true
}
