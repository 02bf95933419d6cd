package wire

import "time"

// Times of reservations and claims.
const (
	ReserveFor    = time.Hour          // where a Reserve names no time
	MaxReserveFor = 7 * 24 * time.Hour // the longest
	ClaimFor      = 24 * time.Hour     // the claim of a member without a session
)

// Reserve says that the sender's session is about to change paths. Reservations
// are advice that peers keep to: nothing stops a process that does not ask. An
// exclusive one excludes every other that overlaps it, a shared one only
// exclusive ones; one's own never conflict, and the same pattern again renews
// the reservation. All patterns are reserved, or none: then the error is
// Reserved, and its conflicts name the holders.
type Reserve struct {
	// Repo names the repository wherever it is cloned: see peer.FindRepo for
	// how clients do it. At most MaxRepo characters.
	Repo     string   `json:"repo"`
	Patterns []string `json:"patterns"`         // 1 to MaxPatterns: see ParsePattern
	Shared   bool     `json:"shared,omitempty"` // else exclusive
	// TTL is how many seconds it holds: ReserveFor if absent, at most MaxReserveFor.
	TTL int64 `json:"ttl,omitempty"`
	// UntilGone ends it with the presence of the sender's session, if that is earlier.
	UntilGone bool   `json:"untilGone,omitempty"`
	Reason    string `json:"reason,omitempty"` // for others to read, at most MaxReason characters
}

// Release ends reservations: those with these ids, which the member who holds
// them and admins may end, or the sender's own in a repository.
type Release struct {
	IDs  []string `json:"ids,omitempty"` // at most MaxPatterns
	Repo string   `json:"repo,omitempty"`
	// Patterns are those to release in Repo; all if there are none.
	Patterns []string `json:"patterns,omitempty"`
}

// ListReservations asks for the reservations that hold now.
type ListReservations struct {
	Repo  string `json:"repo,omitempty"`
	After int64  `json:"after,omitempty"` // Next of the page before
}

// ReservationList answers Reserve and Release with those it made or ended, and
// ListReservations with a page of at most MaxReservedPage, the oldest first.
type ReservationList struct {
	Reservations []Reservation `json:"reservations"`
	Next         int64         `json:"next,omitempty"` // there is more: ask for what comes after this
}

// Reservation is a pattern that somebody has reserved.
type Reservation struct {
	ID           string `json:"id"`
	Repo         string `json:"repo"`                // the repository, wherever it is cloned
	Pattern      string `json:"pattern"`             // of paths from its root, as it is compared
	Shared       bool   `json:"shared"`              // excludes exclusive ones only
	Holder       string `json:"holder"`              // name of the session
	HolderPubkey string `json:"holderPubkey"`        // its address
	HolderMember string `json:"holderMemberPubkey"`  // key of its member
	Reason       string `json:"reason,omitempty"`    // in the holder's words
	TaskID       string `json:"taskId,omitempty"`    // ends with the claim of this task
	UntilGone    bool   `json:"untilGone,omitempty"` // ends with the presence of the holder
	ReservedAt   Time   `json:"reservedAt"`          // when it was made, or renewed
	ExpiresAt    Time   `json:"expiresAt"`
}

func (Reserve) FrameType() Type          { return "reserve" }
func (Release) FrameType() Type          { return "release" }
func (ListReservations) FrameType() Type { return "reservations" }
func (ReservationList) FrameType() Type  { return "reservation_list" }

func (Reserve) answer() (r ReservationList)          { return }
func (Release) answer() (r ReservationList)          { return }
func (ListReservations) answer() (r ReservationList) { return }
