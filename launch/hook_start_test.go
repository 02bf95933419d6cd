package launch

import (
	"os"
	"testing"

	"claudemesh/peer"
)

// TestHooksTellWhatBecameOfMailThatTheSessionBeganWith has no process hold the
// session: the next one hears it from what the hooks remember.
func TestHooksTellWhatBecameOfMailThatTheSessionBeganWith(t *testing.T) {
	for event, want := range map[string]peer.StartFate{
		"SessionStart": peer.StartLeft, "SessionEnd": peer.StartLeft,
		"UserPromptSubmit": peer.StartHad, "PostToolUse": peer.StartHad, "Stop": peer.StartHad,
	} {
		t.Run(event, func(t *testing.T) {
			privateRuntime(t)
			start, err := peer.NewStartMail(testSessionID)
			if err != nil {
				t.Skip(err) // no runtime directory here
			}
			if err := start.Add(t.Context(), os.Getpid(), []string{"m1"}); err != nil {
				t.Fatal(err)
			}
			// Without a configuration there is nobody to tell of the status.
			if out, _ := runHook(t, event, `{"session_id": "`+testSessionID+`"}`, testEnv(nil)); out != "" {
				t.Errorf("printed %q", out)
			}
			if s := start.Load(); s.Fate("m1") != want {
				t.Errorf("%+v", s)
			}
		})
	}
}
