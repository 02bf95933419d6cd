package tools

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/peer"
)

// TestHookGetsWhatIsOnItsWay has a hook ask a process that has just come up, with
// a mesh whose mail comes, and one whose broker does not answer.
func TestHookGetsWhatIsOnItsWay(t *testing.T) {
	for _, c := range []struct {
		what     string
		patience time.Duration
		loaded   time.Duration // when the configuration is read
		comes    time.Duration // when the mail is there
		silent   bool          // a second mesh does not answer
		want     int           // messages
	}{
		{what: "waits for the configuration and the broker", patience: time.Second, loaded: 300 * time.Millisecond, comes: 600 * time.Millisecond, want: 1},
		{what: "gets what came although another broker is silent", patience: time.Second, comes: 600 * time.Millisecond, silent: true, want: 1},
		{what: "does not wait for longer than the hook has time", patience: time.Second, comes: 2 * time.Second},
		{what: "does not wait unless it is asked to", comes: time.Second},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(identity{mode: "push"}, t.TempDir(), slog.New(slog.DiscardHandler))
				m := &mesh{slug: "home", caught: make(chan struct{})}
				h.meshes = []*mesh{m}
				if c.silent {
					h.meshes = append(h.meshes, &mesh{slug: "silent", caught: make(chan struct{})})
				}
				time.AfterFunc(c.loaded, func() { close(h.loaded) })
				time.AfterFunc(c.comes, func() {
					h.post.put(m, peer.Record{MessageID: "1"})
					close(m.caught)
				})
				hook := &inside{hub: h, ways: h.ways}
				a, err := hook.Mail(t.Context(), peer.MailRequest{Way: peer.WayHook, CatchUpMillis: int(c.patience.Milliseconds())})
				if err != nil || len(a.Records) != c.want {
					t.Errorf("%d messages, want %d: %v", len(a.Records), c.want, err)
				}
				time.Sleep(c.comes + c.loaded) // the rest of the story
			})
		})
	}
}
