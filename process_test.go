package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/seal"
	"claudemesh/store"
)

// A process is a broker as a user runs it, in a home of its own.
type process struct {
	t      *testing.T
	binary string
	home   string
	data   string
	cmd    *exec.Cmd
	ready  cli.Serving
	dir    string   // that sessions run in; empty is that of the test
	flags  []string // of serve, beside those that every test needs
}

// program builds the program as a user does, once for all tests: to link it
// takes longer than most of them. It lies beside the one that scripts run, which
// is the test itself, and goes with that.
var program = sync.OnceValues(func() (path string, err error) {
	beside, err := exec.LookPath(module)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(beside), "built")
	path = filepath.Join(dir, filepath.Base(beside))
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// buildsProgram skips a test that builds the program where tests are to be short.
func buildsProgram(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the program")
	}
}

// startProcess starts a broker with the program and these flags.
func startProcess(t *testing.T, flags ...string) *process {
	t.Helper()
	p := &process{t: t, home: t.TempDir(), flags: flags}
	var err error
	if p.binary, err = program(); err != nil {
		t.Fatal(err)
	}
	p.data = filepath.Join(p.home, "data")
	address, release, err := holdPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	p.start(address)
	t.Cleanup(p.kill)
	return p
}

// start runs the broker and waits until it listens.
func (p *process) start(listen string) {
	p.t.Helper()
	p.cmd = exec.Command(p.binary, append([]string{"serve", "--json", "--listen", listen, "--data", p.data,
		"--rate", "1e6", "--burst", "1000000", "--http-rate", "1e6", "--grace", "5m"}, p.flags...)...)
	p.cmd.Env = append(os.Environ(), "HOME="+p.home, "CLAUDEMESH_CONFIG_DIR="+p.config())
	log, err := os.OpenFile(filepath.Join(p.home, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("the broker did not come up: %v\n%s", err, p.log())
	}
	home := p.ready.Home
	p.ready = cli.Serving{}
	if err := json.Unmarshal(line, &p.ready); err != nil {
		p.t.Fatalf("%v in %s", err, line)
	}
	if p.ready.Home == nil {
		p.ready.Home = home
	}
}

func (p *process) config() string { return filepath.Join(p.home, "config") }

func (p *process) log() string {
	text, _ := os.ReadFile(filepath.Join(p.home, "log"))
	return string(text)
}

// kill ends the broker as a power cut would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// restart starts the broker again on its old address.
func (p *process) restart() { p.t.Helper(); p.start(p.ready.Listen) }

// join enrolls a new member.
func (p *process) join(name string) peer.Mesh {
	p.t.Helper()
	joined, err := peer.Join(p.t.Context(), peer.JoinRequest{Link: p.ready.Home.Invite, DisplayName: name})
	if err != nil {
		p.t.Fatal(err)
	}
	return joined.Mesh
}

// A tester is a member's session that keeps what it was told and what it saw.
type tester struct {
	*peer.Client
	name string
	wg   sync.WaitGroup
	news chan struct{}   // has an element when seen has grown
	told chan<- struct{} // gets one for each acknowledgement, if it has room

	mu    sync.Mutex
	seen  []string        // texts in order
	acked map[string]bool // texts it sent that were acknowledged
}

// connect opens a session of a member that reads its mail.
func connect(t *testing.T, m peer.Mesh, name string, key seal.PrivateKey, told chan<- struct{}) *tester {
	t.Helper()
	c, err := peer.Open(t.Context(), peer.Options{Mesh: m, DisplayName: name, SessionID: name, SessionKey: key})
	if err != nil {
		t.Fatal(err)
	}
	p := &tester{Client: c, name: name, acked: make(map[string]bool), news: make(chan struct{}, 1), told: told}
	ctx, stop := context.WithCancel(context.Background())
	p.wg.Go(func() {
		for {
			r, err := p.Next(ctx)
			if err != nil {
				return
			}
			p.MarkSeen(r.MessageID) // before await counts it, and a flush follows
			p.mu.Lock()
			p.seen = append(p.seen, r.Text())
			p.mu.Unlock()
			poke(p.news)
		}
	})
	t.Cleanup(func() {
		stop()
		p.Close(context.Background())
		p.wg.Wait()
	})
	return p
}

// talk sends numbered messages to targets, one after the other with some
// under way at a time, until ctx ends; then it waits for all the answers.
func (p *tester) talk(ctx context.Context, targets []string) error {
	type sending struct {
		*peer.Sending
		text string
	}
	underway := make(chan sending, 8)
	failed := make(chan error, 1)
	p.wg.Go(func() {
		for s := range underway {
			wait, cancel := context.WithTimeout(context.Background(), time.Minute)
			_, err := s.Wait(wait)
			cancel()
			if err != nil {
				select {
				case failed <- fmt.Errorf("%s: %w", s.text, err):
				default:
				}
				continue
			}
			p.mu.Lock()
			p.acked[s.text] = true
			p.mu.Unlock()
			poke(p.told)
		}
		close(failed)
	})
	for n := 0; ctx.Err() == nil; n++ {
		target := targets[n%len(targets)]
		text := fmt.Sprintf("%s|%s|%06d", p.name, target, n)
		s, err := p.SendAsync(context.Background(), peer.SendRequest{Target: target, Text: text})
		if err != nil {
			close(underway)
			return err
		}
		underway <- sending{s, text}
	}
	close(underway)
	return <-failed
}

// poke puts an element into c if there is room.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// eventually looks until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for limit := time.After(patience); !holds(); {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// await waits until p has seen all it must, then checks that nothing came
// twice or out of order.
func (p *tester) await(t *testing.T, want map[string]bool, broker *process) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		p.mu.Lock()
		seen := slices.Clone(p.seen)
		p.mu.Unlock()
		have := make(map[string]bool, len(seen))
		for _, text := range seen {
			have[text] = true
		}
		missing := 0
		for text := range want {
			if !have[text] {
				missing++
			}
		}
		if missing == 0 {
			p.check(t, seen, want)
			return
		}
		select {
		case <-p.news:
		case <-patience:
			t.Fatalf("%s has not seen %d of the %d messages that were acknowledged\n%s", p.name, missing, len(want), broker.log())
		}
	}
}

func (p *tester) check(t *testing.T, seen []string, want map[string]bool) {
	t.Helper()
	t.Logf("%s saw %d messages, %d of them acknowledged to their senders", p.name, len(seen), len(want))
	times := make(map[string]int)
	last := make(map[string]string)
	for _, text := range seen {
		if times[text]++; times[text] > 1 {
			t.Errorf("%s saw %s twice", p.name, text)
		}
		f := strings.Split(text, "|")
		if key := f[0]; f[2] <= last[key] {
			t.Errorf("%s saw %s after number %s", p.name, text, last[key])
		} else {
			last[key] = f[2]
		}
	}
}

// checkSound opens every mesh in a data directory, which checks the file, and
// counts the deliveries that are not over.
func checkSound(t *testing.T, data string, open int64) {
	t.Helper()
	ids, err := store.Meshes(data)
	if err != nil || len(ids) == 0 {
		t.Fatalf("meshes %v: %v", ids, err)
	}
	for _, id := range ids {
		name, err := store.MeshFile(data, id)
		if err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(t.Context(), name, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := db.QueueDepth(); n != open {
			t.Errorf("%d deliveries are open, want %d", n, open)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// expected returns, by address, the acknowledged texts each peer must see.
func expected(all []*tester) map[string]map[string]bool {
	want := make(map[string]map[string]bool)
	for _, to := range all {
		want[to.Address()] = make(map[string]bool)
		for _, from := range all {
			for text := range from.acked {
				if target := strings.Split(text, "|")[1]; target == to.Address() || target == "*" && from != to {
					want[to.Address()][text] = true
				}
			}
		}
	}
	return want
}
