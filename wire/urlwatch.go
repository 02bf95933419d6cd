package wire

// Watch asks the broker to look at a URL over and over and to tell the caller's
// member when what it sees changes. It is answered by a WatchAck before the
// first look, or by an Error.
type Watch struct {
	URL  string    `json:"url"`            // http or https
	Mode WatchMode `json:"mode,omitempty"` // hash if left out
	// Extract is the path of a value in a JSON body, such as $.items[0].id. It
	// is for the mode json.
	Extract string `json:"extract,omitempty"`
	// Interval is the seconds between two looks: WatchInterval if left out,
	// MinWatchInterval at least, MaxWatchInterval at most.
	Interval *float64 `json:"interval,omitempty"`
	// NotifyOn is change, match:<value> or not_match:<value>; change if left out.
	NotifyOn string `json:"notify_on,omitempty"`
	// Headers are sent with each request to the origin of the URL. The broker
	// keeps them encrypted and shows them to nobody.
	Headers map[string]string `json:"headers,omitempty"`
	Label   string            `json:"label,omitempty"`
}

// WatchMode is what a watch sees of a URL.
type WatchMode string

// The modes.
const (
	WatchHash   WatchMode = "hash"   // the first 16 hex digits of the SHA-256 of the body
	WatchJSON   WatchMode = "json"   // the extracted value; without extract, as hash
	WatchStatus WatchMode = "status" // the HTTP status
)

// WatchAck answers Watch and Unwatch.
type WatchAck struct {
	WatchID  string    `json:"watchId"`  // w_ and 8 hex digits
	URL      string    `json:"url"`      // what is watched
	Mode     WatchMode `json:"mode"`     // what is seen of it
	Interval int       `json:"interval"` // seconds; 0 of one that was ended
}

// Unwatch ends a watch of the caller's member.
type Unwatch struct {
	WatchID string `json:"watchId"`
}

// ListWatches asks for the watches of the caller's member.
type ListWatches struct{}

// WatchList answers ListWatches, the oldest first.
type WatchList struct {
	Watches []WatchEntry `json:"watches"`
}

// WatchEntry describes a watch. Its values are cut to MaxWatchValue characters;
// they are compared in full.
type WatchEntry struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`                 // what is watched
	Mode      WatchMode `json:"mode"`                // what is seen of it
	Label     string    `json:"label,omitempty"`     // what its member calls it
	Interval  int       `json:"interval"`            // seconds
	LastHash  string    `json:"lastHash"`            // the same as LastValue
	LastValue string    `json:"lastValue"`           // empty before the first look that succeeded
	LastCheck *Time     `json:"lastCheck,omitempty"` // when it was last looked at
	CreatedAt Time      `json:"createdAt"`
	Extract   string    `json:"extract,omitempty"`   // the path of the value
	NotifyOn  string    `json:"notify_on,omitempty"` // what its member is told of
	LastError string    `json:"lastError,omitempty"` // of the last look, if it failed
	Failures  int       `json:"failures,omitempty"`  // looks that failed in a row
	// Suspended says that it rests because no session of the member was
	// connected for a day. It goes on when one comes, and is deleted after a week.
	Suspended bool `json:"suspended,omitempty"`
}

// WatchTriggered tells a member what a watch has seen. It is the eventData of
// the event watch_triggered, which is delivered like a message.
type WatchTriggered struct {
	WatchID  string    `json:"watchId"`
	URL      string    `json:"url"`
	Label    string    `json:"label,omitempty"`
	Mode     WatchMode `json:"mode"`
	OldValue string    `json:"oldValue"`
	// NewValue begins with "error: " where looks have failed WatchFailures times
	// in a row, as OldValue does where one succeeds after that.
	NewValue string `json:"newValue"`
	// Failing says that the watch goes on, more and more seldom.
	Failing bool `json:"failing,omitempty"`
	// Ended says that the watch was deleted.
	Ended bool `json:"ended,omitempty"`
}

func (Watch) FrameType() Type       { return "watch" }
func (WatchAck) FrameType() Type    { return "watch_ack" }
func (Unwatch) FrameType() Type     { return "unwatch" }
func (ListWatches) FrameType() Type { return "watch_list" }
func (WatchList) FrameType() Type   { return "watch_list_result" }

func (Watch) answer() (r WatchAck)        { return }
func (Unwatch) answer() (r WatchAck)      { return }
func (ListWatches) answer() (r WatchList) { return }
