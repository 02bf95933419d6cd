package broker

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"claudemesh/store"
)

// BenchmarkWatches measures a broker with so many watches and nobody connected:
// the memory that they take once each has been looked at, the processor time of
// a second in which none is due, and of a second of looking at all of them every
// 30 s over real sockets, what the web server of the same process takes included.
func BenchmarkWatches(b *testing.B) {
	for _, c := range []struct {
		what  string
		n     int
		every int // seconds
	}{{"idle", 0, 86400}, {"idle", 1000, 86400}, {"every 30 s", 1000, 30}} {
		b.Run(fmt.Sprintf("%s/watches=%d", c.what, c.n), func(b *testing.B) {
			looked := make(chan struct{}, c.n)
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "hello")
				select {
				case looked <- struct{}{}:
				default:
				}
			}))
			b.Cleanup(site.Close)
			br := newBroker(b, func(cfg *Config) { cfg.WatchAllow, cfg.MaxWatches, cfg.MemberWatches = "127.0.0.1", 1000, 1000 })
			before := heapInUse()
			br.watchAll(c.n, site.URL, c.every)
			for range c.n {
				<-looked
			}
			time.Sleep(time.Second) // what was seen is stored
			took := heapInUse() - before
			if c.every < 60 {
				time.Sleep(time.Duration(c.every) * time.Second) // the second looks begin
			}
			start, rounds := cpuTime(), 0
			for b.Loop() {
				time.Sleep(time.Second)
				rounds++
			}
			b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(rounds), "cpu-µs/s")
			b.ReportMetric(float64(took)/1024, "KiB")
		})
	}
}

// watchAll makes n watches of ten members.
func (b *testBroker) watchAll(n int, url string, every int) {
	m := b.srv.meshByID(b.mesh)
	members := make([]*testMember, 10)
	for i := range members {
		members[i] = b.join(fmt.Sprint("member", i))
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		for i := range n {
			row := &store.Watch{ID: newWatchID(), MemberID: members[i%10].id, URL: fmt.Sprintf("%s/%d", url, i), Mode: "hash",
				Interval: every, NotifyOn: notifyChange, Label: "a site", Created: time.Now()}
			if err := tx.AddWatch(row, n, n); err != nil {
				return err
			}
			tx.AfterCommit(func() { m.startWatch(m.newWatch(row), time.Now()) })
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
