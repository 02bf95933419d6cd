package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	transcriptPause = 500 * time.Millisecond // entries come in bursts
	transcriptRetry = 5 * time.Second        // while there is none
	transcriptTail  = 256 << 10              // of the file, in which the last entries are
)

// transcribe tells the meshes what the session does, as its transcript shows
// it, until ctx ends. A status from a hook or a tool ranks above it. Only the
// host's own format is read, and only its last entries.
func (h *hub) transcribe(ctx context.Context, dir string) {
	if dir == "" {
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		h.log.Warn("the transcript is not followed", "err", err)
		return
	}
	defer w.Close()
	// The first session of a directory starts before its transcript.
	for w.Add(dir) != nil {
		select {
		case <-time.After(transcriptRetry):
		case <-ctx.Done():
			return
		}
	}
	path := filepath.Join(dir, h.who.session+".jsonl")
	paused := time.NewTimer(time.Hour)
	paused.Stop()
	waiting := false
	var last wire.Status
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if e.Name == path && !waiting {
				waiting = true
				paused.Reset(transcriptPause)
			}
		case <-w.Errors:
		case <-paused.C:
			waiting = false
			if s := transcriptStatus(path); s != "" && s != last && h.infer(ctx, s) {
				last = s
			}
		case <-ctx.Done():
			return
		}
	}
}

// infer reports a status to every mesh, and whether all of them have it.
func (h *hub) infer(ctx context.Context, s wire.Status) bool {
	if !h.rhythm.heard(s) {
		return true
	}
	told := true
	for _, m := range h.all() {
		if err := m.client.InferStatus(ctx, s); err != nil && m.client.State() != peer.StateClosed {
			h.log.Debug("status not reported", "mesh", m.slug, "err", err)
			told = false
		}
	}
	return told
}

// transcriptStatus reads from the end of a transcript what its session is
// doing; empty if that cannot be told.
func transcriptStatus(path string) wire.Status {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size > transcriptTail {
		if _, err := f.Seek(-transcriptTail, io.SeekEnd); err != nil {
			return ""
		}
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	tail, err := io.ReadAll(io.LimitReader(f, transcriptTail))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	for len(tail) > 0 {
		i := bytes.LastIndexByte(tail[:len(tail)-1], '\n')
		if s := entryStatus(tail[i+1:]); s != "" {
			return s
		}
		if i < 0 {
			break
		}
		tail = tail[:i+1]
	}
	return ""
}

// entryStatus says what one entry of a transcript tells of its session; empty
// for those that tell nothing, and for what is no entry.
func entryStatus(line []byte) wire.Status {
	var e struct {
		Type        string `json:"type"`
		IsSidechain bool   `json:"isSidechain"`
		IsMeta      bool   `json:"isMeta"`
		Message     struct {
			StopReason string          `json:"stop_reason"`
			Content    json.RawMessage `json:"content"`
		} `json:"message"`
	}
	if json.Unmarshal(line, &e) != nil || e.IsMeta {
		return ""
	}
	switch {
	case e.Type == "user" && !e.IsSidechain && strings.Contains(string(e.Message.Content), "[Request interrupted by user"):
		return wire.Idle
	case e.Type == "user":
		return wire.Working
	case e.Type == "assistant" && !e.IsSidechain && (e.Message.StopReason == "end_turn" || e.Message.StopReason == "stop_sequence"):
		return wire.Idle
	case e.Type == "assistant":
		return wire.Working
	}
	return ""
}
