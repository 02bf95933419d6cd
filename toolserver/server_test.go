package toolserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/wire"
)

// playing names, in the environment, the server that this binary plays instead
// of running tests.
const playing = "TOOLSERVER_TEST_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(playing); name != "" {
		play(name)
		return
	}
	os.Exit(m.Run())
}

// starts starts what this binary plays under a name.
func starts(t *testing.T, name string, opts Options) *Server {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), playing+"="+name)
	Apart(cmd)
	opts.Log = slog.New(slog.DiscardHandler)
	s, err := Start(t.Context(), cmd, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A record is what was written so far.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func TestWhatIsNoMessageIsToldApart(t *testing.T) {
	t.Parallel()
	var stdout, stderr record
	changed := make(chan struct{}, 1)
	s := starts(t, "chatty", Options{Stdout: &stdout, Stderr: &stderr, Changed: func() { changed <- struct{}{} }})
	if err := s.Greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tools, err := s.Tools(t.Context()); err != nil || len(tools) != 2 || tools[1].Name != "b" {
		t.Errorf("%v, %v", tools, err)
	}
	if v, err := s.Call(t.Context(), "a", wire.Value(`{"n":1}`)); err != nil || v.String() != `{"content":[],"extra":"<kept>"}` {
		t.Errorf("%s, %v", v, err)
	}
	<-changed
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a server without ping: %v", err)
	}
	s.Close()
	if got, want := stdout.String(), "listening\n[INFO] ready\n{not json\n"; got != want {
		t.Errorf("stdout has %q, want %q", got, want)
	}
	if got := stderr.String(); got != "warning: old\n" {
		t.Errorf("stderr has %q", got)
	}
}

func TestNothingIsSentToTheIDOfAServerThatHasEnded(t *testing.T) {
	t.Parallel()
	s := starts(t, "quiet", Options{})
	<-s.Done()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), playing+"=silent")
	Apart(other)
	in, err := other.StdinPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.process.cmd.Process = other.Process // as if it had the id now
	s.process.signal(askGroup)
	s.process.fail(errors.New("it has written too much, before it ended"))
	s.Close()
	in.Close()
	if err := other.Wait(); err != nil {
		t.Errorf("another process was ended: %v", err)
	}
}

func TestAServerMayTakeAWhileToEnd(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	for _, c := range []struct {
		name     string
		patience time.Duration
		says     bool
	}{
		{"tidy", time.Minute, true},
		{"tidy", 0, false},
		{"stubborn", 10 * time.Millisecond, false},
	} {
		var stderr record
		s := starts(t, c.name, Options{Patience: c.patience, Stderr: &stderr})
		if err := s.Greet(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if !s.Ended() {
			t.Errorf("%s, %s: it runs", c.name, c.patience)
		}
		if says := strings.Contains(stderr.String(), "tidied up"); says != c.says {
			t.Errorf("%s, %s: it wrote %q", c.name, c.patience, stderr.String())
		}
	}
}

func TestAServerThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want string }{
		{"exits", "it ended: exit code 3: no such database"},
		{"quiet", "it ended: exit code 3"},
		{"floods", "more than 64 MiB in a minute"},
	} {
		s := starts(t, c.name, Options{Stderr: io.Discard})
		<-s.Done()
		if err := s.Why(); !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, asked: %v", c.name, err)
		}
	}
}

func TestTheLastLinesAreWhole(t *testing.T) {
	long := strings.Repeat("x", keptLog)
	for name, c := range map[string]struct {
		written []string
		want    string
	}{
		"nothing":       {nil, ""},
		"lines":         {[]string{"ready\nno", " such\r\n\n", "  database\n"}, "ready / no such / database"},
		"more lines":    {[]string{"1\n2\n3\n4\n5"}, "2 / 3 / 4 / 5"},
		"a long line":   {[]string{long + "\nend\n"}, "end"},
		"all of a line": {[]string{long}, long},
		"half a line":   {[]string{long, "x"}, ""},
		"no UTF-8":      {[]string{"\xff\n"}, "?"},
	} {
		var kept tail
		for _, s := range c.written {
			kept.Write([]byte(s))
		}
		if got := kept.last(); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestMessagesAreFoundInAnyPieces(t *testing.T) {
	long := `{"x":"` + strings.Repeat("y", 3*chunk) + "\"}\n"
	const refused = `"error":{"code":-32601,"message":"Method not found"}}` + "\n"
	for name, c := range map[string]struct{ in, messages, others, back string }{
		"lines":        {"a\n{}\n[]\n {\"a\":1}\r\n", "{}\n {\"a\":1}\r\n", "a\n[]\n", ""},
		"nothing":      {"", "", "", ""},
		"no newline":   {"{}\n{}", "{}\n{}", "", ""},
		"half":         {`{"a":`, "", `{"a":`, ""},
		"long":         {long + "x\n" + long, long + long, "x\n", ""},
		"empty lines":  {"\n\n{}\n", "{}\n", "\n\n", ""},
		"ping":         {`{"id":"a\n","method":"ping"}` + "\n", "", "", `{"jsonrpc":"2.0","id":"a\n","result":{}}` + "\n"},
		"request":      {`{"method":"roots/list","id":7}` + "\n{}\n", "{}\n", "", `{"jsonrpc":"2.0","id":7,` + refused},
		"notification": {`{"method":"x"}` + "\n", `{"method":"x"}` + "\n", "", ""},
		"long id":      {`{"method":"ping","id":"` + strings.Repeat("x", maxID) + "\"}\n", "", "", ""},
	} {
		for _, size := range []int{1, 7, 4096, 1 << 20} {
			var back, other bytes.Buffer
			m := newMessages(io.NopCloser(strings.NewReader(c.in)), &back, &other, func(err error) { t.Error(name, err) })
			var got []byte
			for p := make([]byte, size); ; {
				n, err := m.Read(p)
				got = append(got, p[:n]...)
				if err != nil {
					break
				}
			}
			if string(got) != c.messages || other.String() != c.others || back.String() != c.back {
				t.Errorf("%s in pieces of %d: %d bytes, and %q, answered %q", name, size, len(got), other.String(), back.String())
			}
		}
	}
}

func FuzzMessages(f *testing.F) {
	for _, in := range []string{"a\n{}\n", `{"id":1,"method":"ping"}`, `{"id":{"a":[1]},"method":"x"}` + "\r\n", "{\"a\":1}\n\x00\n", " \t{}\n"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var back, other bytes.Buffer
		m := newMessages(io.NopCloser(strings.NewReader(in)), &back, &other, func(err error) { t.Error(err) })
		got, err := io.ReadAll(m)
		if err != nil || len(got)+other.Len() > len(in) {
			t.Fatalf("%d bytes and %d out of %d, %v", len(got), other.Len(), len(in), err)
		}
		for _, p := range [][]byte{got, back.Bytes()} {
			for line := range bytes.Lines(p) {
				if !json.Valid(line) {
					t.Errorf("%q is no message", line)
				}
			}
		}
	})
}

func TestGreetingASilentServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := starts(t, "silent", Options{})
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(t.Context(), cancel)
	go cancel()
	if err := s.Greet(ctx); err == nil {
		t.Error("it has greeted")
	}
}
