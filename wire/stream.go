package wire

import "encoding/json"

// CreateStream makes a stream, or finds the one of that name. Nobody needs to:
// a stream that is published to and not there is made.
type CreateStream struct {
	Name string `json:"name"` // 1 to MaxStreamName characters, none of them a control character
	// Keep is how many of its newest entries a new stream keeps, KeepEntries if
	// absent, at most MaxKeep. A stream that is there keeps what it kept.
	Keep *int `json:"keep,omitempty"`
}

// StreamCreated answers CreateStream.
type StreamCreated struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Keep int    `json:"keep"` // how many entries are kept at most
	// Existed is set where there was such a stream before.
	Existed bool `json:"existed,omitempty"`
}

// Subscribe asks for the entries of a stream from now on, whether it is there
// yet or not. Doing so twice counts once. The subscription of a session that
// announced Proto 2 lasts as long as its presence, over lost connections and
// restarts of the broker; that of a command or an older client ends with its
// connection.
type Subscribe struct {
	Stream string `json:"stream"`
	// From asks for the kept entries too that have this number or a greater one.
	From *int64 `json:"from,omitempty"`
}

// Subscribed answers Subscribe. The entries that follow it as StreamData begin
// after Last.
type Subscribed struct {
	Stream string `json:"stream"`
	First  int64  `json:"first,omitempty"` // number of the oldest entry that is kept
	Last   int64  `json:"last,omitempty"`  // number of the newest there has been
	// Entries are those asked for by Subscribe.From, ascending.
	Entries []StreamEntry `json:"entries,omitempty"`
	// More is set where a frame had no room for all of them: subscribe again,
	// from the number after that of the last.
	More bool `json:"more,omitempty"`
}

// StreamEntry is one kept entry of a stream.
type StreamEntry struct {
	Seq         int64           `json:"seq"`
	Data        json.RawMessage `json:"data"`
	PublishedBy string          `json:"publishedBy"` // display name
	PublishedAt Time            `json:"publishedAt"`
}

// Unsubscribe ends a subscription; that there is none is no error.
type Unsubscribe struct {
	Stream string `json:"stream"`
}

// Publish adds an entry to a stream. The Ack has its number, and counts as
// sent the subscribers who are connected. The publisher does not get it.
type Publish struct {
	Stream string `json:"stream"`
	// Data is any JSON, null too, and must be there.
	Data json.RawMessage `json:"data,omitempty"`
}

// StreamData is an entry that the broker hands to a subscriber. Of one that
// does not keep up the oldest are dropped: then numbers are missing, and
// Subscribe.From gets those that are still kept.
type StreamData struct {
	Stream      string          `json:"stream"`
	Data        json.RawMessage `json:"data"`
	PublishedBy string          `json:"publishedBy"` // display name
	// Seq numbers the entries of a stream, from 1 and without gaps.
	Seq         int64 `json:"seq,omitempty"`
	PublishedAt *Time `json:"publishedAt,omitempty"`
}

// ListStreams asks which streams there are.
type ListStreams struct{}

// StreamList answers ListStreams, the oldest stream first.
type StreamList struct {
	Streams []Stream `json:"streams"`
}

// Stream is an entry of StreamList.
type Stream struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	CreatedBy       string `json:"createdBy"` // display name
	CreatedAt       Time   `json:"createdAt"`
	SubscriberCount int    `json:"subscriberCount"` // sessions, with those whose connection is lost for the moment
	// Last is the number of its newest entry, 0 if there has been none.
	Last int64 `json:"last"`
	Kept int   `json:"kept"` // entries
	Keep int   `json:"keep"` // how many are kept at most
	// Subscribed is set where the caller is a subscriber.
	Subscribed bool `json:"subscribed,omitempty"`
}

// DeleteStream removes a stream and its entries. Its maker's member and admins
// may. Subscriptions stay, for the case that it is made anew, with numbers
// that begin at 1.
type DeleteStream struct {
	Name string `json:"name"`
}

func (CreateStream) FrameType() Type  { return "create_stream" }
func (StreamCreated) FrameType() Type { return "stream_created" }
func (Subscribe) FrameType() Type     { return "subscribe" }
func (Subscribed) FrameType() Type    { return "subscribed" }
func (Unsubscribe) FrameType() Type   { return "unsubscribe" }
func (Publish) FrameType() Type       { return "publish" }
func (StreamData) FrameType() Type    { return "stream_data" }
func (ListStreams) FrameType() Type   { return "list_streams" }
func (StreamList) FrameType() Type    { return "stream_list" }
func (DeleteStream) FrameType() Type  { return "delete_stream" }

func (CreateStream) answer() (r StreamCreated) { return }
func (Subscribe) answer() (r Subscribed)       { return }
func (Unsubscribe) answer() (r Ack)            { return }
func (Publish) answer() (r Ack)                { return }
func (ListStreams) answer() (r StreamList)     { return }
func (DeleteStream) answer() (r Ack)           { return }
