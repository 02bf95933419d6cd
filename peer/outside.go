package peer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"claudemesh/wire"
)

// isMail reports whether a system push is kept like a message until it was seen,
// and not only an event for who listens.
func isMail(p *wire.Push) bool { return p.Event == wire.EventWatchTriggered && p.Seq != 0 }

// fromOutside reports whether no peer wrote a push: it is what a program posted
// to a webhook, or what the broker saw.
func fromOutside(p *wire.Push) bool {
	return p.Ciphertext == "" && (p.Subtype == wire.SubtypeWebhook || p.Subtype == wire.SubtypeSystem)
}

// outsideText is what is shown of such a push.
func outsideText(p *wire.Push) string {
	if p.Subtype == wire.SubtypeSystem {
		return watchText(p.EventData)
	}
	if p.Text != "" {
		return p.Text
	}
	var line bytes.Buffer
	if json.Compact(&line, p.EventData) != nil {
		line.Reset()
	}
	return fmt.Sprintf("[webhook:%s] %s", p.Event, line.String())
}

// watchText says what a watch has seen.
func watchText(data json.RawMessage) string {
	var t wire.WatchTriggered
	if wire.Decode(data, &t) != nil {
		return "[WATCH] " + string(data)
	}
	text := fmt.Sprintf("[WATCH] %s: %s → %s", cmp.Or(t.Label, t.URL), shown(t.OldValue), shown(t.NewValue))
	if t.Label != "" {
		text += "\n" + t.URL
	}
	if t.Failing {
		text += "\nIt is looked at more and more seldom; you are told when it answers again."
	}
	return text + "\n(watch " + t.WatchID + ")"
}

func shown(value string) string {
	if strings.TrimSpace(value) == "" {
		return "(nothing)"
	}
	return value
}
