package launch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// patient gives hooks the time that a busy machine may need.
const patient = 60

func runHook(t *testing.T, event, stdin string, getenv func(string) string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := Hook(t.Context(), HookRun{Event: event, Getenv: getenv, ConfigDir: t.TempDir(), Stdin: strings.NewReader(stdin), Stdout: &out, slower: patient})
	return out.String(), err
}

func TestHooksReportAndAddMail(t *testing.T) {
	for _, c := range []struct{ event, reports, way string }{
		{"SessionStart", "", peer.WayHook},
		{"UserPromptSubmit", "working", peer.WayHook},
		{"PostToolUse", "working", peer.WayHook},
		{"Stop", "idle working", peer.WayStop},
		{"SessionEnd", "", ""},
		{"idle", "idle", ""},
		{"working", "working", ""},
		{"dnd", "dnd", ""},
	} {
		t.Run(c.event, func(t *testing.T) {
			s, getenv := newTestSession(t, "words of a <peer>")
			out, err := runHook(t, c.event, `{"session_id": "x", "stop_hook_active": false}`, getenv)
			if err != nil {
				t.Fatal(err)
			}
			requests, reports, shown := s.record()
			if got := strings.Join(reports, " "); got != c.reports {
				t.Errorf("reported %q, want %q", got, c.reports)
			}
			if c.way == "" {
				if out != "" || len(requests) > 0 {
					t.Errorf("printed %q, asked %v", out, requests)
				}
				return
			}
			if len(requests) != 1 || requests[0].Way != c.way || requests[0].MaxBytes > 8<<10 || !requests[0].Confirm || requests[0].Event != c.event {
				t.Errorf("asked %+v", requests)
			}
			if got := strings.Join(shown, ","); got != c.way+" full-0" {
				t.Errorf("confirmed %q", got)
			}
			var printed struct {
				HookSpecificOutput struct{ HookEventName, AdditionalContext string }
			}
			if err := json.Unmarshal([]byte(out), &printed); err != nil {
				t.Fatalf("%v in %q", err, out)
			}
			if p := printed.HookSpecificOutput; p.HookEventName != c.event || p.AdditionalContext != "words of a <peer>" {
				t.Errorf("printed %+v", p)
			}
		})
	}
}

func TestHooksAreSilentWithoutMailAndOnFailure(t *testing.T) {
	s, getenv := newTestSession(t)
	for _, event := range []string{"SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "SessionEnd", "PreCompact", ""} {
		for _, stdin := range []string{"", "{", "[]", `{"session_id": 5}`, strings.Repeat("x", maxStdin+1)} {
			if out, _ := runHook(t, event, stdin, getenv); out != "" {
				t.Errorf("%s with %.10q printed %q", event, stdin, out)
			}
		}
	}
	s.fault = errors.New("no mail today")
	if out, err := runHook(t, "Stop", "{}", getenv); out != "" || err == nil {
		t.Errorf("printed %q, %v", out, err)
	}
	if _, reports, _ := s.record(); reports[len(reports)-1] != "idle" {
		t.Errorf("a turn that ended was reported as %v", reports)
	}
}

func TestHookFindsTheSessionByWhatTheHostTells(t *testing.T) {
	s, _ := newTestSession(t, "mail")
	out, err := runHook(t, "UserPromptSubmit", `{"session_id": "`+testSessionID+`"}`, testEnv(nil))
	if _, reports, _ := s.record(); err != nil || out == "" || len(reports) != 1 {
		t.Errorf("printed %q, %v, reported %v", out, err, reports)
	}
}

func TestHookThatHearsNothingEnds(t *testing.T) {
	s, getenv := newTestSession(t, "mail")
	silent, w := io.Pipe()
	defer w.Close()
	var out strings.Builder
	if err := Hook(t.Context(), HookRun{Event: "PostToolUse", Getenv: getenv, Stdin: silent, Stdout: &out, slower: 6}); err != nil || out.Len() == 0 {
		t.Errorf("printed %q, %v", &out, err)
	}
	if _, reports, _ := s.record(); len(reports) != 1 {
		t.Errorf("reported %v", reports)
	}
}

// emptyBox stands in for a session whose mail another process has taken.
type emptyBox struct{}

func (emptyBox) Report(context.Context, peer.StatusReport) error { return nil }
func (emptyBox) Mail(context.Context, peer.MailRequest) (peer.MailAnswer, error) {
	return peer.MailAnswer{}, nil
}
func (emptyBox) Shown(context.Context, peer.ShownRequest) error { return nil }
func (emptyBox) Announced() []string                            { return nil }
func (emptyBox) Close(context.Context)                          {}

// TestHookAsksTheProcessThatCameWhileItStoodIn has the session's process come up
// with the mail while the hook goes to the brokers for it.
func TestHookAsksTheProcessThatCameWhileItStoodIn(t *testing.T) {
	privateRuntime(t)
	for _, event := range []string{"SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"} {
		t.Run(event, func(t *testing.T) {
			var s *testSession
			var out strings.Builder
			err := Hook(t.Context(), HookRun{
				Event: event, ConfigDir: t.TempDir(), Stdin: strings.NewReader(`{"session_id": "` + testSessionID + `"}`), Stdout: &out,
				Getenv: testEnv(nil), slower: patient,
				StandIn: func(context.Context, Unheld) (StandIn, error) {
					s, _ = newTestSession(t, "hello from a peer")
					return emptyBox{}, nil
				},
			})
			if err != nil || !strings.Contains(out.String(), "hello from a peer") {
				t.Fatalf("printed %q, %v", &out, err)
			}
			if requests, _, shown := s.record(); len(requests) != 1 || requests[0].CatchUpMillis <= 0 || len(shown) != 1 {
				t.Errorf("asked %+v, confirmed %q", requests, shown)
			}
		})
	}
}

func TestStopGoesOnEightTimesInARow(t *testing.T) {
	var texts []string
	for i := range maxStops + 2 {
		texts = append(texts, "mail "+strconv.Itoa(i))
	}
	s, getenv := newTestSession(t, texts...)
	printed := 0
	for i := range maxStops + 1 {
		out, err := runHook(t, "Stop", `{"stop_hook_active": `+strconv.FormatBool(i > 0)+`}`, getenv)
		if err != nil {
			t.Fatal(err)
		}
		if out != "" {
			printed++
		}
	}
	requests, _, shown := s.record()
	if printed != maxStops || len(requests) != maxStops || len(shown) != maxStops {
		t.Errorf("went on %d times, asked %d times, confirmed %d, want %d", printed, len(requests), len(shown), maxStops)
	}
	if out, _ := runHook(t, "UserPromptSubmit", "{}", getenv); !strings.Contains(out, "mail 8") {
		t.Errorf("the prompt has %q", out)
	}
	if out, _ := runHook(t, "Stop", `{"stop_hook_active": true}`, getenv); !strings.Contains(out, "mail 9") {
		t.Errorf("after a prompt Stop has %q", out)
	}
}

func TestHookReportsToTheBrokersWhereNoSessionAnswers(t *testing.T) {
	privateRuntime(t)
	got := make(chan wire.HookStatus, 2)
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var h wire.HookStatus
		if err := json.NewDecoder(r.Body).Decode(&h); err != nil || r.URL.Path != "/hook/set-status" {
			t.Errorf("%s: %v", r.URL, err)
		}
		got <- h
		io.WriteString(w, `{"ok": true}`)
	}))
	defer broker.Close()
	dir := t.TempDir()
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	err = peer.UpdateConfig(t.Context(), dir, func(c *peer.Config) error {
		for _, id := range []string{"one", "two"} {
			c.AddMesh(peer.Mesh{MeshID: id, Slug: id, Pubkey: key.Public().String(), SecretKey: key.Hex(), BrokerURL: broker.URL})
		}
		c.AddMesh(peer.Mesh{MeshID: "gone", Slug: "gone", SecretKey: key.Hex(), BrokerURL: "ws://127.0.0.1:1/ws"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = Hook(t.Context(), HookRun{
		Event: "Stop", ConfigDir: dir, Stdout: &out, Stdin: strings.NewReader(`{"session_id": "s", "cwd": "/project"}`),
		Getenv: testEnv(map[string]string{"CLAUDE_PID": "77"}), slower: patient,
	})
	if !errors.Is(err, peer.ErrUnreachable) || out.Len() > 0 {
		t.Errorf("printed %q, error %v", &out, err)
	}
	meshes := map[string]bool{}
	for range 2 {
		h := <-got
		meshes[h.MeshID] = true
		text, err := seal.HookText(h.MeshID, h.Pubkey, "idle", "s", "/project", int64(h.Timestamp))
		if err != nil || h.PID != 77 || !key.Public().Verify(text, h.Signature) {
			t.Errorf("reported %+v, %v", h, err)
		}
	}
	if len(meshes) != 2 {
		t.Errorf("reported to %v", meshes)
	}
}
