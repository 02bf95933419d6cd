package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AuditLink is a place in the audit chain of a mesh: an entry that others can follow. The zero AuditLink is the place
// before the first.
type AuditLink struct {
	ID   int64
	Hash [sha256.Size]byte
}

// genesis stands for the hash of the entry before the first.
const genesis = "genesis"

// String returns the hash in hex, as the entry after this one has it for prevHash.
func (l AuditLink) String() string {
	if l.ID == 0 {
		return genesis
	}
	return hex.EncodeToString(l.Hash[:])
}

// AuditRecord is an entry of the audit chain.
type AuditRecord struct {
	ID      int64 // 1 for the first, and one more for each
	Event   string
	Actor   string    // member id, "" for none
	Payload []byte    // canonical JSON
	Created time.Time // counts in whole milliseconds
	Hash    [sha256.Size]byte
}

// Follow makes r the entry after l: it sets its ID and its Hash, which is the SHA-256 of
//
//	prevHash|meshId|eventType|actorMemberId|payload|createdAt
//
// with null for no member and the time in UTC with three fractional digits and Z. Event and Actor must be free
// of '|', and the word null is no member.
func (r *AuditRecord) Follow(l AuditLink, meshID string) AuditLink {
	r.ID, r.Hash = l.ID+1, r.sum(l, meshID)
	return AuditLink{r.ID, r.Hash}
}

// Next checks that r is the entry after l, unaltered, and returns its place. The error says what is wrong with it.
func (l AuditLink) Next(meshID string, r *AuditRecord) (AuditLink, error) {
	switch {
	case r.ID != l.ID+1:
		return l, fmt.Errorf("entry %d follows entry %d: those between are missing", r.ID, l.ID)
	case strings.Contains(r.Event, "|") || strings.Contains(r.Actor, "|") || r.Actor == "null":
		return l, errors.New("its event or its actor cannot be one")
	case r.sum(l, meshID) != r.Hash:
		return l, errors.New("its hash is not that of its content after the entry before")
	}
	return AuditLink{r.ID, r.Hash}, nil
}

func (r *AuditRecord) sum(l AuditLink, meshID string) [sha256.Size]byte {
	actor := r.Actor
	if actor == "" {
		actor = "null"
	}
	b := make([]byte, 0, 512)
	if l.ID == 0 {
		b = append(b, genesis...)
	} else {
		b = hex.AppendEncode(b, l.Hash[:])
	}
	for _, text := range []string{meshID, r.Event, actor} {
		b = append(append(b, '|'), text...)
	}
	b = append(append(b, '|'), r.Payload...)
	b = r.Created.UTC().AppendFormat(append(b, '|'), "2006-01-02T15:04:05.000Z")
	return sha256.Sum256(b)
}

// CheckpointText is what a broker signs to vouch for the audit chain of a mesh up to an entry:
// audit|meshId|id|hash|timestamp, the hash in lower-case hex and the time in milliseconds.
func CheckpointText(meshID string, id int64, hash string, timestamp int64) (string, error) {
	return join(field{text: tagAudit}, field{name: "meshId", text: meshID}, number(id), field{name: "hash", text: hash}, number(timestamp))
}

// VerifyCheckpoint reports whether signature is signer's of the text that CheckpointText makes of the other fields.
// Both are lower-case hex: there is one way only to write a checkpoint.
func VerifyCheckpoint(meshID string, id int64, hash string, timestamp int64, signer, signature string) bool {
	key, err := ParsePublicKey(signer)
	if err != nil || key.String() != signer || strings.ToLower(signature) != signature {
		return false
	}
	text, err := CheckpointText(meshID, id, hash, timestamp)
	return err == nil && key.Verify(text, signature)
}

// ServerKey returns the key pair of a broker from its seed.
func ServerKey(seed [32]byte) PrivateKey { return fromSeed(seed[:]) }
