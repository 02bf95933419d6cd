package wire

// EventsMissed tells a recipient who comes back how many messages of webhooks and
// watches gave way before the broker heard that a process of it has them; in the moment
// between, it may have them. It is the eventData of the event events_missed, which is
// delivered like a message, after those that did not give way.
type EventsMissed struct {
	Total   int64          `json:"total"`
	Sources []MissedSource `json:"sources"` // at most MaxMissedSources, of most messages first
}

// MissedSource is what sent messages that gave way.
type MissedSource struct {
	Kind  string `json:"kind,omitempty"` // webhook or watch; absent for more sources than are told apart
	Name  string `json:"name,omitempty"` // of the webhook, or label or URL of the watch; absent if that is deleted
	Count int64  `json:"count"`
}

// The kinds of a MissedSource.
const (
	MissedWebhook = "webhook"
	MissedWatch   = "watch"
)
