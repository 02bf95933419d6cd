package launch

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// A slowBox has one message, and takes its time.
type slowBox struct {
	report, mail, confirm time.Duration
	confirmed             bool
}

func (b *slowBox) Report(ctx context.Context, _ peer.StatusReport) error { return sleep(ctx, b.report) }

func (b *slowBox) Mail(ctx context.Context, _ peer.MailRequest) (peer.MailAnswer, error) {
	if err := sleep(ctx, b.mail); err != nil {
		return peer.MailAnswer{}, err
	}
	return peer.MailAnswer{Text: "hello from a peer"}, nil
}

func (b *slowBox) Shown(ctx context.Context, _ peer.ShownRequest) error {
	err := sleep(ctx, b.confirm)
	b.confirmed = err == nil
	return err
}

func (*slowBox) Announced() []string   { return nil }
func (*slowBox) Close(context.Context) {}

func (b *slowBox) standIn(context.Context, Unheld) (StandIn, error) { return b, nil }

// TestWhatAHookPrintedIsConfirmed has mail come when the time of the hook is
// nearly over: not confirmed, it would come by another way too.
func TestWhatAHookPrintedIsConfirmed(t *testing.T) {
	privateRuntime(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		box := &slowBox{mail: hookTime - time.Millisecond, confirm: confirmTime / 2}
		err := Hook(t.Context(), HookRun{
			Event: "UserPromptSubmit", Getenv: testEnv(nil), ConfigDir: dir, Stdin: strings.NewReader("{}"), Stdout: &out, StandIn: box.standIn,
		})
		if err != nil || !strings.Contains(out.String(), "hello") || !box.confirmed {
			t.Errorf("printed %q, confirmed: %v, %v", &out, box.confirmed, err)
		}
	})
}

// TestMailDoesNotWaitForAStatusThatHangs has a broker that does not answer, and
// mail from another.
func TestMailDoesNotWaitForAStatusThatHangs(t *testing.T) {
	privateRuntime(t)
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		box := &slowBox{report: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), hookTime)
		defer cancel()
		r := &HookRun{Event: "PostToolUse", Getenv: testEnv(nil), Stdout: &out}
		if _, err := r.ask(ctx, box, wire.Working, hookInput{}); err == nil || !strings.Contains(out.String(), "hello") || !box.confirmed {
			t.Errorf("printed %q, confirmed: %v, %v", &out, box.confirmed, err)
		}
	})
}

// TestWhatAWaiterPrintedIsConfirmed has a newer waiter come while the older one
// prints.
func TestWhatAWaiterPrintedIsConfirmed(t *testing.T) {
	privateRuntime(t)
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		box := &slowBox{confirm: time.Second}
		w := waiter{WaitRun: WaitRun{Getenv: testEnv(nil), Stderr: &out}, pid: 1}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if woke, err := w.show(ctx, box, peer.MailAnswer{Text: "hello"}); !woke || err != nil || !box.confirmed {
			t.Errorf("woke %v, confirmed: %v, %v", woke, box.confirmed, err)
		}
	})
}
