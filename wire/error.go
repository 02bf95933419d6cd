package wire

import "fmt"

// Code classifies an Error for programs.
type Code string

// The codes of a refused hello. The connection is closed with 1008 and the
// code as its reason.
const (
	Capacity      Code = "capacity"       // the mesh has its maximum of connections
	TimestampSkew Code = "timestamp_skew" // the timestamp is no number or over a minute off
	Malformed     Code = "malformed"      // not a frame, or a key or signature of the wrong shape
	BadSignature  Code = "bad_signature"  // the signature does not verify
	Replayed      Code = "replayed"       // signed and used before: sign anew, a moment later
	Unauthorized  Code = "unauthorized"   // no such member, or a proof is missing
)

// The codes of every other failure. The connection stays open.
const (
	NoHello          Code = "no_hello"           // a frame before hello
	BadRequest       Code = "bad_request"        // a field is missing, of the wrong type or out of range; of a hello, a message or the presence also too long
	UnknownType      Code = "unknown_type"       // a frame of a type that does not exist
	Internal         Code = "internal"           // the broker failed; it has logged why
	Unavailable      Code = "unavailable"        // the broker cannot store now, a full disk for instance; nothing was kept
	Forbidden        Code = "forbidden"          // ownership, scope or permission
	NotFound         Code = "not_found"          // the named thing does not exist for the caller
	RateLimited      Code = "rate_limited"       // too many frames in a short time
	InvalidTarget    Code = "invalid_target"     // the target cannot be parsed
	Ambiguous        Code = "ambiguous"          // the prefix fits several keys; the candidates are given
	UnknownRecipient Code = "unknown_recipient"  // the prefix fits no key of the mesh
	Conflict         Code = "conflict"           // the id was used for something else
	TooLarge         Code = "too_large"          // what is shared, or searched for, is over a documented limit, but within the frame limit
	Limit            Code = "limit"              // a quota is used up
	PeerNotFound     Code = "peer_not_found"     // the peer whose files are asked for is not connected
	TaskNotClaimable Code = "task_not_claimable" // there is no such task, or it is not open
	TaskNotFound     Code = "task_not_found"     // there is no such task
	Reserved         Code = "reserved"           // somebody else has reserved what overlaps; the conflicts are given
	InvalidCron      Code = "invalid_cron"       // not a cron expression, or one that is never due
	InvalidWebhook   Code = "invalid_webhook"    // the name of a webhook is empty or no name
	WebhookExists    Code = "webhook_exists"     // the mesh has a webhook of that name
	InvalidName      Code = "invalid_name"       // no name for a service
	DeployError      Code = "deploy_error"       // a deployment failed before it began
	UndeployError    Code = "undeploy_error"     // a service could not be ended
	NoClock          Code = "no_clock"           // the mesh has no simulation clock: set it first
	VaultError       Code = "vault_error"        // the broker could not read or write the vault
)

// The codes with which POST /join refuses.
const (
	InviteBadSignature  Code = "invite_bad_signature"   // not signed by the owner key it names, or altered
	MeshNotFound        Code = "mesh_not_found"         // this broker has no such mesh
	MeshMissingOwnerKey Code = "mesh_missing_owner_key" // the mesh has no owner who could have signed
	InviteOwnerMismatch Code = "invite_owner_mismatch"  // signed by somebody who does not own the mesh
	InviteNotFound      Code = "invite_not_found"       // the broker does not know the token
	InviteMeshMismatch  Code = "invite_mesh_mismatch"   // the token belongs to another mesh
	InviteRevoked       Code = "invite_revoked"         // the invite was withdrawn
	InviteExpired       Code = "invite_expired"         // the time of the invite is over
	InviteExhausted     Code = "invite_exhausted"       // every use of the invite is taken
	MemberInsertFailed  Code = "member_insert_failed"   // the broker could not store the member; no use was taken
)

// Error is both the frame that reports a failure and the Go error it
// becomes at either end. Its message is for people: what failed, on what,
// what to do.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// ID is the id of the send that this answers.
	ID string `json:"id,omitempty"`
	// Candidates are the keys an Ambiguous prefix fits, at most MaxCandidates.
	Candidates []Candidate `json:"candidates,omitempty"`
	// Conflicts are reservations in the way of a Reserve, at most MaxCandidates.
	Conflicts []Reservation `json:"conflicts,omitempty"`
}

// A Candidate is one of several keys that a prefix fits.
type Candidate struct {
	Pubkey string `json:"pubkey"`
	Name   string `json:"name,omitempty"`
}

// FrameType implements Frame.
func (*Error) FrameType() Type { return "error" }

func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message + " (" + string(e.Code) + ")"
}

// Is makes errors.Is(err, &Error{Code: c}) true for any Error with that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Errorf returns an Error that may be shown to a peer.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}
