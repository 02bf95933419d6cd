package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	benchSchedules = 10_000
	benchWatches   = 1000
	benchMembers   = 10
)

// BenchmarkAutomation holds a broker with 10 000 recurring schedules and 1000
// watches, of ten members, beside an empty one at the same time: the memory that
// each has resident a while after it was started with them, the processor time of
// a minute in which nothing of that is due, and how late a message comes that is.
// To each one session is connected. Run it with -benchtime 3x.
func BenchmarkAutomation(b *testing.B) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	b.Cleanup(site.Close)
	flags := []string{"--watch-allow", "127.0.0.0/8", "--max-watches", fmt.Sprint(benchWatches), "--member-watches", fmt.Sprint(benchWatches)}
	var brokers [2]*benchProcess // empty and full
	for i := range brokers {
		brokers[i] = startBench(b, b.TempDir(), flags...)
	}
	brokers[1].inviteMore(benchMembers + 1)
	fill(b, brokers[1], site.URL)
	var receivers [2]*peer.Client
	for i, p := range brokers {
		p.restart()
		receivers[i] = benchMember(b, p.invite, "receiver")
	}
	time.Sleep(75 * time.Second) // the first looks after a start are spread over a minute
	var memory, cpu [2][]float64
	var late [2][]time.Duration
	for b.Loop() {
		var before [2]time.Duration
		for i, p := range brokers {
			before[i] = p.ran()
		}
		time.Sleep(time.Minute)
		for i, p := range brokers {
			cpu[i] = append(cpu[i], float64((p.ran()-before[i]).Microseconds())/1000)
			memory[i] = append(memory[i], float64(p.resident())/(1<<20))
		}
		for i := range brokers {
			late[i] = append(late[i], lateness(b, receivers[i], 100)...)
		}
	}
	for i, what := range []string{"empty", "full"} {
		slices.Sort(late[i])
		b.ReportMetric(median(memory[i]), what+"-MiB")
		b.ReportMetric(median(cpu[i]), what+"-cpu-ms/min")
		b.ReportMetric(float64(late[i][len(late[i])/2].Microseconds())/1000, what+"-late-p50-ms")
		b.ReportMetric(float64(late[i][len(late[i])*99/100].Microseconds())/1000, what+"-late-p99-ms")
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// fill makes the schedules and the watches, none of which is due soon.
func fill(b *testing.B, p *benchProcess, url string) {
	b.Helper()
	var wg sync.WaitGroup
	for i := range benchMembers {
		c := benchMember(b, p.invite, fmt.Sprint("member", i))
		wg.Go(func() {
			next := time.Now().UTC().AddDate(0, 6, 0)
			cron := fmt.Sprintf("0 9 * %d *", next.Month())
			for range benchSchedules / benchMembers {
				if _, err := c.Schedule(b.Context(), peer.ScheduleRequest{Text: "Stand-up in ten minutes, bring what blocks you.", Cron: cron}); err != nil {
					b.Error(err)
					return
				}
			}
			for n := range benchWatches / benchMembers {
				every := float64(wire.MaxWatchInterval)
				if _, err := peer.Call(b.Context(), c, wire.Watch{URL: fmt.Sprintf("%s/%d/%d", url, i, n), Interval: &every}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// lateness has n messages sent to c a tenth of a second after each other, and
// returns how much later than they were due they came.
func lateness(b *testing.B, c *peer.Client, n int) (all []time.Duration) {
	b.Helper()
	first := time.Now().Add(2 * time.Second).Truncate(time.Millisecond)
	for i := range n {
		at := first.Add(time.Duration(i) * 100 * time.Millisecond)
		if _, err := c.Schedule(b.Context(), peer.ScheduleRequest{Text: at.Format(time.RFC3339Nano), At: at}); err != nil {
			b.Fatal(err)
		}
	}
	for range n {
		r, err := c.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		due, err := time.Parse(time.RFC3339Nano, r.Text())
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(due))
		c.MarkSeen(r.MessageID)
	}
	return all
}

// inviteMore makes an invite for so many.
func (p *benchProcess) inviteMore(uses int) {
	p.b.Helper()
	cmd := exec.Command(p.binary, "invite", "create", "--uses", fmt.Sprint(uses), "--json")
	cmd.Env = p.environ()
	out, err := cmd.Output()
	var made struct{ Link string }
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil {
		p.b.Fatalf("invite: %v\n%s", err, out)
	}
	p.invite = made.Link
}

// resident returns the bytes that the process has in memory.
func (p *benchProcess) resident() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		p.b.Fatal(err)
	}
	return kib << 10
}

// ran returns the processor time that the threads of the process have had.
func (p *benchProcess) ran() (total time.Duration) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		p.b.Fatal("no threads: ", err)
	}
	for _, name := range threads {
		var ns int64
		if text, err := os.ReadFile(name); err == nil {
			fmt.Sscan(string(text), &ns)
		}
		total += time.Duration(ns)
	}
	return total
}
