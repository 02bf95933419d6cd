package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrTicket reports a ticket that this broker did not make, or made for something else.
var ErrTicket = errors.New("not a valid ticket")

// ErrTicketExpired reports a ticket whose time is over.
var ErrTicketExpired = errors.New("the ticket has expired")

// Tickets makes and checks tickets to download a file: whoever has one may fetch exactly that file, as the member it
// was made for, until it expires. A ticket is
//
//	<expiry, milliseconds, decimal> "." <member id> "." <b64url of HMAC-SHA-256>
//	MAC of  download|<mesh id>|<file id>|<member id>|<expiry>
//	key     HKDF-SHA-256(the broker's key, no salt, info "download-v1", 32 bytes)
//
// so that it can neither be guessed nor be moved to another file or member, and outlives a restart of the broker,
// which keeps no list of them. It is safe for concurrent use.
type Tickets struct {
	key hidden[[32]byte]
}

// NewTickets derives the key of the tickets from the seed of the broker's key.
func NewTickets(seed [32]byte) (*Tickets, error) {
	key, err := hkdf.Key(sha256.New, seed[:], nil, "download-v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of tickets: %w", err)
	}
	return &Tickets{hide((*[32]byte)(key))}, nil
}

// Make returns a ticket. Ids that hold '|' or '.' are refused: one could be taken for other fields.
func (t *Tickets) Make(meshID, fileID, memberID string, expires time.Time) (string, error) {
	at := strconv.FormatInt(expires.UnixMilli(), 10)
	mac, err := t.mac(meshID, fileID, memberID, at)
	if err != nil {
		return "", err
	}
	return at + "." + memberID + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

// Check returns the member that ticket was made for: ErrTicket, or ErrTicketExpired.
func (t *Tickets) Check(ticket, meshID, fileID string, now time.Time) (memberID string, err error) {
	parts := strings.Split(ticket, ".")
	if len(parts) != 3 {
		return "", ErrTicket
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return "", ErrTicket
	}
	mac, err := t.mac(meshID, fileID, parts[1], parts[0])
	if err != nil || !hmac.Equal(mac, given) {
		return "", ErrTicket
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || !now.Before(time.UnixMilli(at)) {
		return "", ErrTicketExpired
	}
	return parts[1], nil
}

func (t *Tickets) mac(meshID, fileID, memberID, expires string) ([]byte, error) {
	if strings.Contains(memberID, ".") {
		return nil, fmt.Errorf("%w: a member id with a dot", ErrTicket)
	}
	text, err := join(field{text: "download"}, field{name: "mesh id", text: meshID}, field{name: "file id", text: fileID},
		field{name: "member id", text: memberID}, field{name: "expiry", text: expires})
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, t.key()[:])
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}
