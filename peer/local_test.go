//go:build linux || darwin

package peer

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

// runtimeIn makes RuntimeDir a fresh directory with a short path.
func runtimeIn(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return filepath.Join(dir, "claudemesh")
}

// localSession is a handler whose answers are fixed.
type localSession struct {
	mail  func(context.Context, MailRequest) (MailAnswer, error)
	shown chan ShownRequest
	told  chan StatusReport
	name  string
}

func (s *localSession) Mail(ctx context.Context, r MailRequest) (MailAnswer, error) {
	return s.mail(ctx, r)
}

func (s *localSession) Shown(ctx context.Context, r ShownRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.shown <- r
	return nil
}

func (s *localSession) Report(_ context.Context, r StatusReport) error {
	s.told <- r
	return nil
}

func (s *localSession) Ways(context.Context) (WaysAnswer, error) {
	return WaysAnswer{Session: s.name}, nil
}

func newLocalSession(name string) *localSession {
	text := "hello"
	return &localSession{
		name: name, shown: make(chan ShownRequest, 1), told: make(chan StatusReport, 1),
		mail: func(context.Context, MailRequest) (MailAnswer, error) {
			return MailAnswer{Text: "hello", Records: []MailRecord{
				{Mesh: "home", Full: true, Record: Record{MessageID: "m1", Plaintext: &text}}, {Record: Record{MessageID: "m2"}},
			}}, nil
		},
	}
}

func listenLocal(t *testing.T, id string, h SessionHandler) interface{ Close() error } {
	t.Helper()
	c, err := ListenSession(t.Context(), id, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dialLocal(t *testing.T, id string) *SessionClient {
	t.Helper()
	c, err := DialSession(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSessionAnswersItsHooks(t *testing.T) {
	dir := runtimeIn(t)
	s := newLocalSession("one")
	listenLocal(t, "one", s)
	c := dialLocal(t, "one")

	a, err := c.Mail(t.Context(), MailRequest{Way: WayHook})
	if err != nil || a.Text != "hello" || a.Records[0].Text() != "hello" {
		t.Errorf("mail: %+v, %v", a, err)
	}
	if got := <-s.shown; got.Way != WayHook || !slices.Equal(got.MessageIDs, []string{"m1", "m2"}) {
		t.Errorf("shown after the answer: %+v, want both", got)
	}
	if err := c.Report(t.Context(), StatusReport{Status: wire.Working, Source: wire.SourceHook}); err != nil {
		t.Error(err)
	}
	if got := <-s.told; got.Status != wire.Working {
		t.Errorf("report: %+v", got)
	}
	if w, err := c.Ways(t.Context()); err != nil || w.Session != "one" {
		t.Errorf("ways: %+v, %v", w, err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.sock"))
	info, err := os.Stat(names[0])
	if len(names) != 1 || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("sockets %v, mode %v", names, info.Mode())
	}
}

func TestMailIsNotShownBeforeItIsConfirmed(t *testing.T) {
	runtimeIn(t)
	for _, req := range []MailRequest{{Confirm: true}, {Peek: true}} {
		s := newLocalSession("one")
		l := listenLocal(t, "one", s)
		c := dialLocal(t, "one")
		if _, err := c.Mail(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if err := c.Shown(t.Context(), ShownRequest{MessageIDs: []string{"later"}}); err != nil {
			t.Fatal(err)
		}
		l.Close()
		close(s.shown)
		if got := <-s.shown; got.MessageIDs[0] != "later" {
			t.Errorf("%+v: shown %v before it was confirmed", req, got.MessageIDs)
		}
	}
}

func TestCallerThatIsGoneEndsTheWait(t *testing.T) {
	runtimeIn(t)
	s := newLocalSession("one")
	waiting, ended := make(chan bool), make(chan error)
	s.mail = func(ctx context.Context, _ MailRequest) (MailAnswer, error) {
		close(waiting)
		<-ctx.Done()
		ended <- ctx.Err()
		return MailAnswer{Records: []MailRecord{{Record: Record{MessageID: "late"}}}}, nil
	}
	listenLocal(t, "one", s)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := dialLocal(t, "one").Mail(ctx, MailRequest{WaitMillis: 1000 * 60})
		failed <- err
	}()
	<-waiting
	cancel()
	if err := <-ended; err == nil {
		t.Error("the handler's context did not end")
	}
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	if got := <-s.shown; !got.Failed || got.MessageIDs[0] != "late" {
		t.Errorf("mail that came too late for its caller: %+v", got)
	}
}

func TestErrorOfTheSessionReachesTheCaller(t *testing.T) {
	runtimeIn(t)
	s := newLocalSession("one")
	s.mail = func(context.Context, MailRequest) (MailAnswer, error) { return MailAnswer{}, errors.New("no way") }
	listenLocal(t, "one", s)
	if _, err := dialLocal(t, "one").Mail(t.Context(), MailRequest{}); err == nil || err.Error() != "no way" {
		t.Error(err)
	}
}

func TestNewestProcessOfASessionIsTheOneThatAnswers(t *testing.T) {
	runtimeIn(t)
	older := listenLocal(t, "one", newLocalSession("older"))
	listenLocal(t, "one", newLocalSession("newer"))
	for range 2 {
		if w, err := dialLocal(t, "one").Ways(t.Context()); err != nil || w.Session != "newer" {
			t.Errorf("answered by %q, %v", w.Session, err)
		}
		older.Close() // takes only its own socket away
	}
}

func TestSocketOfADeadProcessIsReplaced(t *testing.T) {
	runtimeIn(t)
	path, err := socketPath("one")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := DialSession("one"); !errors.Is(err, ErrNoSession) {
		t.Errorf("dial of a dead process's socket: %v", err)
	}
	l := listenLocal(t, "one", newLocalSession("alive"))
	dialLocal(t, "one")
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestSessionIsFoundByItsHostProcessToo(t *testing.T) {
	runtimeIn(t)
	listenLocal(t, ProcessSession(4711), newLocalSession("one"))
	env := map[string]string{"CLAUDE_CODE_SESSION_ID": "changed since", "CLAUDE_PID": "4711"}
	if _, err := DialHost(func(k string) string { return env[k] }); err != nil {
		t.Error(err)
	}
	if _, err := DialHost(func(string) string { return "" }); !errors.Is(err, ErrNoSession) {
		t.Errorf("outside of a session: %v", err)
	}
}

func TestRuntimeDirThatOthersCanEnterIsRefused(t *testing.T) {
	dir := runtimeIn(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSession(t.Context(), "one", newLocalSession("")); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Error(err)
	}
}

func TestLocalSocketSurvivesWhateverIsWrittenToIt(t *testing.T) {
	runtimeIn(t)
	s := newLocalSession("one")
	listenLocal(t, "one", s)
	path, _ := socketPath("one")
	for _, line := range []string{"", "\n", "{}\n", "null\n", "[1]\n", "{\"mail\":7}\n", strings.Repeat("x", maxLocalBytes+1), "{\"ways\":true"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(line))
		conn.Close()
	}
	if _, err := dialLocal(t, "one").Ways(t.Context()); err != nil {
		t.Error(err)
	}
}
