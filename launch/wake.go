package launch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"claudemesh/peer"
)

const (
	runTime     = 15 * time.Minute // of a host that was woken
	stopTime    = 5 * time.Second  // for it to end when it must
	maxRunError = 4 << 10
)

// preamble stands before the mail that wakes a closed session.
const preamble = "claudemesh has woken this session, which was closed, because mail came for it. Nobody is at the keyboard, and nobody reads what you answer here: " +
	"what a peer is to know, send with send_message. Do what your user would want done about it within the permissions you have, and end the turn."

// wake has the host resume the closed session with mail as the prompt, which
// goes by standard input: a command line can be read by every user of the
// machine. It never skips permissions, whatever the session was launched
// with. rest is when the session may be woken next, zero for at once.
func (h *Host) wake(ctx context.Context, k *keeper, mail peer.MailAnswer, rest time.Time) error {
	program, err := claude()
	if err != nil {
		return err
	}
	extra, err := h.uninstalledFlags(k.dir)
	if err != nil {
		return err
	}
	text := preamble + "\n\n" + mail.Text
	if !rest.IsZero() {
		text += fmt.Sprintf("\nclaudemesh has woken this session %d times within an hour. It will not before %s; mail that comes meanwhile waits.\n",
			k.WakesPerHour, rest.UTC().Format("15:04 UTC"))
	}
	persona := h.Remembered(k.SessionID)
	hint, err := k.Hint(persona.MeshID)
	if err != nil {
		k.Logger.Warn("the session is woken without the template of its mesh", "err", err)
	} else if hint != "" {
		extra = append(extra, "--append-system-prompt", hint)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runTime, fmt.Errorf("it took more than %v", runTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(extra, "-p", "--resume", k.SessionID)...)
	// Which process the host will be is not known yet, and it says itself which
	// session it is.
	cmd.Env = append(h.environ(k.dir, k.SessionID, true, persona), k.Prompted+"="+promptedIDs(mail.Records), peer.HostProcess+"=0")
	cmd.Stdin = strings.NewReader(text)
	stderr := &tail{max: maxRunError}
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = stopTime
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("%s -p --resume: %w: %s", program, err, bytes.TrimSpace([]byte(stderr.String())))
	}
	return nil
}

// interrupt asks a process to end. Where that cannot be asked it is ended.
func interrupt(p *os.Process) error {
	if err := p.Signal(os.Interrupt); err != nil {
		return p.Kill()
	}
	return nil
}

// promptedIDs is the value of KeepRun.Prompted.
func promptedIDs(records []peer.MailRecord) string {
	var ids []string
	for _, r := range records {
		if !strings.ContainsAny(r.MessageID, " \t\r\n\x00") {
			ids = append(ids, r.MessageID)
		}
	}
	return strings.Join(ids, " ")
}
