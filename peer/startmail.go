package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const (
	// maxStartBytes is far above the size of a StartMail's file.
	maxStartBytes = 1 << 20
	maxLeft       = 500
)

// A StartMail remembers which messages a session began with: the host has their
// text from a hook, and its model reads it with the first turn. Until then they
// have not been seen, and no way needs to give the host their text again. It is
// a file of the runtime directory, 0600, with ids only, so that the session's
// process and its hooks know of each other, whichever of them gave the mail and
// whichever dies. The zero StartMail remembers nothing.
type StartMail struct{ path string }

// Started is what became of the messages that a session began with.
type Started struct {
	Waiting []string `json:"waiting,omitempty"` // the host has them for the first turn
	// Left are those that no turn followed on: no model has had them, though they
	// may stand in the transcript. The last 500.
	Left []string `json:"left,omitempty"`
	Had  []string `json:"had,omitempty"` // came before the model with the last first turn
}

// A StartFate is what became of a message that a session began with.
type StartFate int

// The fates.
const (
	StartUnknown StartFate = iota // no session began with it
	StartWaits                    // for the first turn
	StartLeft                     // no turn followed
	StartHad                      // came before the model
)

// Fate returns what became of a message.
func (s *Started) Fate(id string) StartFate {
	switch {
	case slices.Contains(s.Waiting, id):
		return StartWaits
	case slices.Contains(s.Had, id):
		return StartHad
	case slices.Contains(s.Left, id):
		return StartLeft
	}
	return StartUnknown
}

// startFile is the content of the file. The process is the host's that has what
// waits.
type startFile struct {
	PID   int    `json:"pid"`
	Since string `json:"since"` // as ProcessStart has it
	Started
}

var errNotRemembered = errors.New("what the session began with cannot be remembered")

// NewStartMail returns what is remembered of a session, whose id has 1 to
// wire.MaxSessionID bytes. There is an error where there is no RuntimeDir.
func NewStartMail(sessionID string) (StartMail, error) {
	path, err := sessionPath(sessionID, ".start")
	return StartMail{path}, err
}

// Load returns what is remembered. What waited in a host that has ended is left.
func (s StartMail) Load() Started {
	f := s.read()
	if len(f.Waiting) > 0 && !f.alive() {
		f.leave()
	}
	return f.Started
}

// Add notes that a running host, by its process id, was given messages to begin
// with.
func (s StartMail) Add(ctx context.Context, pid int, ids []string) error {
	since := ProcessStart(pid)
	if s.path == "" || since == "" {
		return errNotRemembered
	}
	return s.change(ctx, func(f *startFile) {
		if f.PID != pid || f.Since != since {
			f.leave()
		}
		f.PID, f.Since, f.Waiting = pid, since, append(f.Waiting, ids...)
	})
}

// Leave notes that the session begins anew, or ends: no turn follows on what
// waits.
func (s StartMail) Leave(ctx context.Context) error {
	if len(s.read().Waiting) == 0 {
		return nil
	}
	return s.change(ctx, (*startFile).leave)
}

// Turn notes that a turn has begun, with all that waits.
func (s StartMail) Turn(ctx context.Context) error {
	if len(s.Load().Waiting) == 0 {
		return nil
	}
	return s.change(ctx, func(f *startFile) {
		if len(f.Waiting) > 0 && f.alive() {
			f.Started = Started{Had: f.Waiting}
		}
	})
}

func (f *startFile) alive() bool { return f.Since != "" && ProcessStart(f.PID) == f.Since }

func (f *startFile) leave() {
	f.Left = append(f.Left, f.Waiting...)
	f.Left = f.Left[max(0, len(f.Left)-maxLeft):]
	f.Waiting = nil
}

// read returns what the file says; one that cannot be read is as none.
func (s StartMail) read() startFile {
	if s.path == "" {
		return startFile{}
	}
	file, err := os.Open(s.path)
	if err != nil {
		return startFile{}
	}
	defer file.Close()
	var f startFile
	data, err := io.ReadAll(io.LimitReader(file, maxStartBytes))
	if err != nil || json.Unmarshal(data, &f) != nil {
		return startFile{}
	}
	return f
}

func (s StartMail) change(ctx context.Context, edit func(*startFile)) error {
	unlock, err := acquire(ctx, filepath.Join(filepath.Dir(s.path), "starts.lock"))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotRemembered, err)
	}
	defer unlock()
	f := s.read()
	edit(&f)
	data, err := encodeFile(f)
	if err == nil {
		err = replaceFile(s.path, data)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotRemembered, err)
	}
	return nil
}
