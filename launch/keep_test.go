package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
)

func TestPaceBoundsWhatHappensWithinAnHour(t *testing.T) {
	var p pace
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		after time.Duration
		rest  time.Duration // from then; 0 for none
	}{
		{0, 0}, {time.Minute, 0}, {time.Minute, 58 * time.Minute}, // three within an hour
		{58 * time.Minute, time.Minute}, {time.Minute, time.Minute}, {time.Hour, 0},
	} {
		at = at.Add(c.after)
		if free := p.free(at, 3); free.After(at) {
			t.Fatalf("%d: not free before %v", i, free)
		}
		want := time.Time{}
		if c.rest > 0 {
			want = at.Add(c.rest)
		}
		if got := p.use(at, 3); !got.Equal(want) {
			t.Errorf("%d: the next may be at %v, want %v", i, got, want)
		}
	}
}

func TestSessionRunsWhileAnyoneHasIt(t *testing.T) {
	privateRuntime(t)
	h := newTestHost(t)
	id, other := newUUID(), newUUID()
	if err := os.MkdirAll(h.sessionDir(id), 0o700); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(h.Dir, "sessions", "1.json")
	of := func(pid int, session string) string { return fmt.Sprintf(`{"pid": %d, "sessionId": %q}`, pid, session) }
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"another session", of(os.Getpid(), other), false},
		{"a process that is gone", of(1<<30, id), false},
		{"no JSON", "{", false},
		{"a process that runs", of(os.Getpid(), id), true},
	} {
		write(t, live, c.text)
		if got := h.running(id); got != c.want {
			t.Errorf("%s: running is %v", c.name, got)
		}
	}
	if err := os.Remove(live); err != nil {
		t.Fatal(err)
	}
	me := pidFile{os.Getpid(), peer.ProcessStart(os.Getpid())}
	for _, p := range []pidFile{me, {me.PID, "before"}, {1 << 30, me.Start}} {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(h.sessionDir(id), pidName), string(data))
		if got := h.running(id); got != (p == me) {
			t.Errorf("launched as %+v: running is %v", p, got)
		}
	}
}

func TestOneKeeperAtATime(t *testing.T) {
	h := newTestHost(t)
	id := newUUID()
	if err := os.MkdirAll(h.sessionDir(id), 0o700); err != nil {
		t.Fatal(err)
	}
	if stopped, err := h.StopWaking(t.Context(), id); stopped || err != nil {
		t.Errorf("nobody keeps the session: %v, %v", stopped, err)
	}
	_, release, err := h.claimKeeper(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.claimKeeper(id); !errors.Is(err, errKept) {
		t.Errorf("a second keeper: %v", err)
	}
	if got := h.Woken(); len(got) != 1 || got[0] != id || !inUse(h.sessionDir(id)) {
		t.Errorf("kept are %v", got)
	}
	release()
	if stopped, err := h.StopWaking(t.Context(), id); !stopped || err != nil || h.Woken() != nil {
		t.Errorf("stopped: %v, %v; kept are %v", stopped, err, h.Woken())
	}
	for _, bad := range []string{"", "../../../../../../../../etc/passwd"} {
		if _, err := h.StopWaking(t.Context(), bad); err == nil {
			t.Errorf("%q was taken for a session", bad)
		}
	}
}

func TestPromptedIDsAreWords(t *testing.T) {
	var records []peer.MailRecord
	for _, id := range []string{"a", "b c", "d\n", "e"} {
		r := peer.MailRecord{}
		r.MessageID = id
		records = append(records, r)
	}
	if got := promptedIDs(records); got != "a e" {
		t.Errorf("got %q", got)
	}
}

func TestWakesThatFailAreTriedEverLaterAndThenNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{KeepRun: KeepRun{Logger: slog.New(slog.DiscardHandler)}}
		noCredit := errors.New("no credit")
		begun := time.Now()
		for _, want := range []time.Duration{2 * time.Second, 18 * time.Second, 146 * time.Second, 1170 * time.Second} {
			if err := k.failed(t.Context(), noCredit); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(begun); got != want {
				t.Errorf("tried again after %v, want %v", got, want)
			}
		}
		if err := k.failed(t.Context(), noCredit); !errors.Is(err, noCredit) {
			t.Errorf("after the last failure: %v", err)
		}
	})
}

func TestSessionIsNotWaitedForForEver(t *testing.T) {
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	client, err := peer.Start(t.Context(), peer.Options{Mesh: peer.Mesh{
		MeshID: "m", Slug: "home", Pubkey: key.Public().String(), SecretKey: key.Hex(), BrokerURL: "ws://127.0.0.1:1/ws",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	k := &keeper{used: time.Now().Add(-keptClosed)}
	if _, err := k.first(t.Context(), client); !errors.Is(err, errIdle) {
		t.Errorf("a day after it was closed: %v", err)
	}
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errStopped)
	k.used = time.Now()
	if _, err := k.first(stopped, client); !errors.Is(err, errStopped) {
		t.Errorf("when nobody wants it any more: %v", err)
	}
}
