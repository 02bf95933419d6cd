package broker

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"claudemesh/store"
)

// BenchmarkSchedules measures a broker with so many entries: the memory that
// they take and the processor time of a second in which nothing is due, with
// nobody connected; and how long it takes until all of them are sent, when they
// come due at once.
func BenchmarkSchedules(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint("idle/entries=", n), func(b *testing.B) {
			br := newBroker(b)
			before := heapInUse()
			br.fill(n, time.Now().Add(24*time.Hour))
			took := heapInUse() - before
			start := cpuTime()
			rounds := 0
			for b.Loop() {
				time.Sleep(time.Second)
				rounds++
			}
			b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(rounds), "cpu-µs/s")
			b.ReportMetric(float64(took)/1024, "KiB")
		})
	}
	b.Run("due/entries=10000", func(b *testing.B) {
		for range b.N {
			br := newBroker(b)
			m := br.fill(10_000, time.Now().Add(time.Hour))
			start := time.Now()
			for sent := batch; sent == batch; {
				if err := m.db.Write(b.Context(), func(tx *store.Tx) (err error) {
					sent, err = m.fire(tx, store.ClockReal, start.Add(time.Hour+time.Minute/2))
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/10_000, "µs/message")
		}
	})
}

// fill stores n schedules of ten members, to each of them a share.
func (b *testBroker) fill(n int, at time.Time) *mesh {
	m := b.srv.meshByID(b.mesh)
	members := make([]*testMember, 10)
	for i := range members {
		members[i] = b.join(fmt.Sprint("member", i))
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		for i := range n {
			err := tx.AddSchedule(&store.Schedule{
				ID: newUUID(), MemberID: members[i%10].id, Target: members[(i+1)%10].pub(), Clock: store.ClockReal, NextFire: at,
				Cron: "0 9 * * MON-FRI", TZ: "Europe/Berlin", Missed: store.MissedOnce, Created: at, Body: "Stand-up in ten minutes, bring what blocks you.",
			})
			if err != nil {
				return err
			}
		}
		return m.arm(tx)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func heapInUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapInuse)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
