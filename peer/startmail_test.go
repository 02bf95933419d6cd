//go:build linux || darwin

package peer

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// startMailOf returns what two processes of one session remember, in a fresh
// runtime directory.
func startMailOf(t *testing.T) (server, hook StartMail) {
	t.Helper()
	runtimeIn(t)
	var errs [2]error
	server, errs[0] = NewStartMail("one")
	hook, errs[1] = NewStartMail("one")
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	return server, hook
}

func TestWhatASessionBeganWithWaitsForItsFirstTurn(t *testing.T) {
	server, hook := startMailOf(t)
	me := os.Getpid()
	step := func(what string, err error, want Started) {
		t.Helper()
		got := server.Load()
		if err != nil || !slices.Equal(got.Waiting, want.Waiting) || !slices.Equal(got.Left, want.Left) || !slices.Equal(got.Had, want.Had) {
			t.Fatalf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}
	step("nothing yet", hook.Turn(t.Context()), Started{})
	step("left before", hook.Leave(t.Context()), Started{})
	step("the start gave some", hook.Add(t.Context(), me, []string{"m1"}), Started{Waiting: []string{"m1"}})
	step("and more", server.Add(t.Context(), me, []string{"m2"}), Started{Waiting: []string{"m1", "m2"}})
	step("begun anew", hook.Leave(t.Context()), Started{Left: []string{"m1", "m2"}})
	step("given again", hook.Add(t.Context(), me, []string{"m1"}), Started{Waiting: []string{"m1"}, Left: []string{"m1", "m2"}})
	if s := server.Load(); s.Fate("m1") != StartWaits || s.Fate("m2") != StartLeft || s.Fate("m3") != StartUnknown {
		t.Errorf("%v %v %v", s.Fate("m1"), s.Fate("m2"), s.Fate("m3"))
	}
	step("the first turn", hook.Turn(t.Context()), Started{Had: []string{"m1"}})
	step("another turn", server.Turn(t.Context()), Started{Had: []string{"m1"}})
	step("the end", hook.Leave(t.Context()), Started{Had: []string{"m1"}})
	if info, err := os.Stat(server.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	other, err := NewStartMail("another")
	if s := other.Load(); err != nil || s.Fate("m1") != StartUnknown {
		t.Errorf("another session has %+v, %v", s, err)
	}
}

func TestNoTurnFollowsInAHostThatHasEnded(t *testing.T) {
	server, hook := startMailOf(t)
	host := exec.Command("cat")
	in, err := host.StdinPipe()
	if err == nil {
		err = host.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Add(t.Context(), host.Process.Pid, []string{"m1"}); err != nil {
		t.Error(err)
	}
	if s := server.Load(); s.Fate("m1") != StartWaits {
		t.Errorf("while the host runs: %+v", s)
	}
	in.Close()
	host.Wait()
	if err := server.Turn(t.Context()); err != nil {
		t.Error(err)
	}
	if s := server.Load(); s.Fate("m1") != StartLeft {
		t.Errorf("after its end: %+v", s)
	}
	if err := hook.Add(t.Context(), host.Process.Pid, []string{"m2"}); err == nil {
		t.Error("a host that has ended was given mail")
	}
	if err := hook.Add(t.Context(), os.Getpid(), []string{"m2"}); err != nil {
		t.Error(err)
	}
	if s := server.Load(); s.Fate("m1") != StartLeft || s.Fate("m2") != StartWaits {
		t.Errorf("with the next host: %+v", s)
	}
}

func TestStartMailThatCannotBeReadIsNone(t *testing.T) {
	server, hook := startMailOf(t)
	for _, text := range []string{"", "{", "[]", `{"waiting": 5}`, `{"pid": -1, "since": "", "waiting": ["m1"]}`} {
		if err := os.WriteFile(server.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := server.Load(); len(s.Waiting)+len(s.Had) > 0 {
			t.Errorf("%s: %+v", text, s)
		}
	}
	if err := hook.Add(t.Context(), os.Getpid(), []string{"m1"}); err != nil {
		t.Error(err)
	}
	var none StartMail
	if err := none.Add(t.Context(), os.Getpid(), []string{"m1"}); err == nil {
		t.Error("remembered nowhere")
	}
}
