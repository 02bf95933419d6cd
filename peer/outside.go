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
// and not only an event for who listens: those alone have a place in the order.
func isMail(p *wire.Push) bool { return p.Seq != 0 }

// fromOutside reports whether no peer wrote a push: it is what a program posted
// to a webhook, or what the broker saw.
func fromOutside(p *wire.Push) bool {
	return p.Ciphertext == "" && (p.Subtype == wire.SubtypeWebhook || p.Subtype == wire.SubtypeSystem)
}

// outsideText is what is shown of such a push.
func outsideText(p *wire.Push) string {
	if p.Subtype == wire.SubtypeSystem {
		return eventText(p)
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

// eventText is what is shown of an event that is mail, of one that is not known too:
// it would be offered again for as long as it is not seen.
func eventText(p *wire.Push) string {
	switch p.Event {
	case wire.EventWatchTriggered:
		return watchText(p.EventData)
	case wire.EventEventsMissed:
		return missedText(p.EventData)
	}
	return fmt.Sprintf("[%s] %s", p.Event, p.EventData)
}

// missedText says how much of what webhooks and watches sent will not come.
func missedText(data json.RawMessage) string {
	var e wire.EventsMissed
	if wire.Decode(data, &e) != nil {
		return "[MISSED] " + string(data)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[MISSED] %d older messages of webhooks and watches gave way before the broker heard that you have them; what has not come will not:", e.Total)
	rest := e.Total
	for _, s := range e.Sources {
		rest -= s.Count
		switch {
		case s.Kind == "":
			fmt.Fprintf(&b, "\n%d of others", s.Count)
		case s.Name == "":
			fmt.Fprintf(&b, "\n%d of a %s that was deleted", s.Count, s.Kind)
		default:
			fmt.Fprintf(&b, "\n%d of the %s %s", s.Count, s.Kind, s.Name)
		}
	}
	if rest > 0 {
		fmt.Fprintf(&b, "\n%d of others", rest)
	}
	return b.String()
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
