package tools

import (
	"context"
	"encoding/json"
)

// progress tells the host how far a call is that it gave a token for. It belongs
// to one call, which is why it travels with its context.
type progress struct {
	link  *link
	token json.RawMessage

	steps int // owned by whoever tells
}

type progressKey struct{}

// maxProgressToken bounds, in bytes, what a host may have repeated to it.
const maxProgressToken = 1024

// isProgressToken reports whether a host gave one: a text or a number.
func isProgressToken(token json.RawMessage) bool {
	if len(token) == 0 || len(token) > maxProgressToken {
		return false
	}
	c := token[0]
	return c == '"' || c == '-' || c >= '0' && c <= '9'
}

// tellProgress tells the host in words how far the call of ctx is, if it asked
// for that. One goroutine of a call may, before the call is answered.
func tellProgress(ctx context.Context, message string) {
	p, ok := ctx.Value(progressKey{}).(*progress)
	if !ok || ctx.Err() != nil {
		return
	}
	p.steps++
	err := p.link.notify("notifications/progress", map[string]any{"progressToken": p.token, "progress": p.steps, "message": neutral(message)})
	if err != nil {
		p.link.log.Debug("progress not written", "err", err)
	}
}
