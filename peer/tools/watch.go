package tools

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime lets a file that is being replaced come to rest.
const settleTime = 50 * time.Millisecond

// watch reloads the connections when the configuration changes, until ctx ends.
// The directory is watched, since the file is replaced when it is written.
func (h *hub) watch(ctx context.Context) {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		h.log.Warn("the configuration is not followed", "err", err)
		return
	}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer w.Close()
		err = w.Add(h.dir)
	}
	if err != nil {
		h.log.Warn("the configuration is not followed", "err", err)
		return
	}
	h.reload(ctx) // for what changed before it was watched
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if filepath.Base(e.Name) == "config.json" {
				settled.Reset(settleTime)
			}
		case err := <-w.Errors:
			h.log.Warn("the configuration may have changed unnoticed", "err", err)
			settled.Reset(settleTime)
		case <-settled.C:
			h.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}
