package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// InviteVersion is the only version of the invite payload there is.
const InviteVersion = 1

// The kinds of refusal of an invite; errors wrap one of them and say which field is at fault.
var (
	ErrInviteMalformed = errors.New("the invite is malformed; ask for a new one")
	ErrInviteVersion   = errors.New("the invite is of a version this program does not know; update claudemesh or ask for a new one")
	ErrInviteExpired   = errors.New("the invite has expired; ask for a new one")
	ErrInviteSignature = errors.New("the invite's signature is not its owner's: it was altered; ask for a new one")
)

// Invite is the payload of an invite, version 1, in the order of its JSON text and of its signed text. Strings are as
// transmitted, hex of either case. It holds the mesh root key, which String and LogValue leave out and Token does not.
type Invite struct {
	V           int64  `json:"v"`
	MeshID      string `json:"mesh_id"`
	MeshSlug    string `json:"mesh_slug"`
	BrokerURL   string `json:"broker_url"`    // ws:// or wss://
	ExpiresAt   int64  `json:"expires_at"`    // seconds since the Unix epoch
	MeshRootKey string `json:"mesh_root_key"` // base64url without padding of 32 bytes
	Role        string `json:"role"`          // admin or member
	OwnerPubkey string `json:"owner_pubkey"`  // 64 hex digits
	Signature   string `json:"signature"`     // 128 hex digits
}

// String says what the invite is for, without the mesh root key.
func (i Invite) String() string {
	return fmt.Sprintf("invite to mesh %q (%s) at %s as %s until %s", i.MeshSlug, i.MeshID, i.BrokerURL, i.Role, until(i.ExpiresAt))
}

// LogValue is String, for log/slog.
func (i Invite) LogValue() slog.Value { return slog.StringValue(i.String()) }

func until(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateTime + " MST") }

// Sign sets the version, the owner key and the signature. It refuses, with ErrInviteMalformed, an invite that Verify
// would refuse or whose token would be too long.
func (i *Invite) Sign(owner PrivateKey) error {
	if owner.IsZero() {
		return fmt.Errorf("%w: there is no owner key to sign the invite with", ErrKey)
	}
	signed := *i
	signed.V, signed.OwnerPubkey = InviteVersion, owner.Public().String()
	signed.Signature = owner.Sign(signed.text())
	if err := signed.Verify(); err != nil {
		return err
	}
	if n := len(signed.Token()); n > MaxLink {
		return fmt.Errorf("%w: its token would have %d characters, more than %d", ErrInviteMalformed, n, MaxLink)
	}
	*i = signed
	return nil
}

// text is the signed text: every field but the signature. checkFields refuses fields that hold '|'.
func (i Invite) text() string {
	return strings.Join([]string{strconv.FormatInt(i.V, 10), i.MeshID, i.MeshSlug, i.BrokerURL,
		strconv.FormatInt(i.ExpiresAt, 10), i.MeshRootKey, i.Role, i.OwnerPubkey}, "|")
}

// Token returns base64url without padding of the payload as compact JSON in field order. The broker compares tokens
// as text: an issuer stores what it hands out.
func (i Invite) Token() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(i); err != nil {
		panic(err) // a struct of strings and integers always encodes
	}
	return base64.RawURLEncoding.EncodeToString(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// Validate is what a peer checks before it joins: every field, the expiry, and that the owner the invite names signed
// it. That the named owner owns the mesh only the broker knows. Errors wrap an ErrInvite kind.
func (i Invite) Validate(now time.Time) error {
	if err := i.checkFields(); err != nil {
		return err
	}
	if i.Expired(now) {
		return fmt.Errorf("%w (it was valid until %s)", ErrInviteExpired, until(i.ExpiresAt))
	}
	return i.Verify()
}

// Expired reports whether the invite's time is over at now. It is valid through the second ExpiresAt.
func (i Invite) Expired(now time.Time) bool { return i.ExpiresAt < now.Unix() }

// Verify checks every field and the signature, but not the expiry, for a broker that answers them apart. Errors wrap
// an ErrInvite kind.
func (i Invite) Verify() error {
	if err := i.checkFields(); err != nil {
		return err
	}
	owner, err := i.Owner()
	if err != nil {
		return err
	}
	if !owner.Verify(i.text(), i.Signature) {
		return ErrInviteSignature
	}
	return nil
}

// Owner returns the key the invite names as its mesh's owner.
func (i Invite) Owner() (PublicKey, error) {
	owner, err := ParsePublicKey(i.OwnerPubkey)
	if err != nil {
		return PublicKey{}, malformed("owner_pubkey is not 64 hex digits")
	}
	return owner, nil
}

// Equal reports whether all fields are the same text, which a broker demands of a token and the payload beside it.
func (i Invite) Equal(other Invite) bool { return i == other }

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInviteMalformed, fmt.Sprintf(format, args...))
}

// ValidSlug reports whether s is fit to name a mesh in this program: 1 to 64 lower-case letters, digits and inner or
// trailing hyphens. An invite of another issuer may name its mesh otherwise; such a name must not become a path.
func ValidSlug(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isDigit(c) && (c != '-' || i == 0) {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}

func (i Invite) checkFields() error {
	if i.V != InviteVersion {
		return fmt.Errorf("%w (version %d)", ErrInviteVersion, i.V)
	}
	if err := checkWord("mesh_id", i.MeshID); err != nil {
		return err
	}
	if err := checkWord("mesh_slug", i.MeshSlug); err != nil {
		return err
	}
	if err := checkBrokerURL(i.BrokerURL); err != nil {
		return err
	}
	if i.ExpiresAt <= 0 || i.ExpiresAt > maxInteger {
		return malformed("expires_at is not a positive number of seconds")
	}
	if _, err := decodeRootKey(i.MeshRootKey); err != nil {
		return malformed("mesh_root_key is not base64url without padding of 32 bytes")
	}
	if i.Role != "admin" && i.Role != "member" {
		return malformed("role is neither admin nor member")
	}
	if _, err := hex.DecodeString(i.Signature); err != nil || len(i.Signature) != 128 {
		return malformed("signature is not 128 hex digits")
	}
	_, err := i.Owner()
	return err
}

// checkWord refuses what would make the signed text ambiguous or a terminal misbehave.
func checkWord(name, s string) error {
	switch {
	case s == "":
		return malformed("%s is empty", name)
	case !utf8.ValidString(s):
		return malformed("%s is not UTF-8", name)
	case strings.Contains(s, "|"):
		return malformed("%s contains '|'", name)
	case strings.ContainsFunc(s, unicode.IsControl):
		return malformed("%s contains control characters", name)
	}
	return nil
}

func checkBrokerURL(s string) error {
	if err := checkWord("broker_url", s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Hostname() == "" {
		return malformed("broker_url is not ws:// or wss:// with a host")
	}
	if u.User != nil || u.Fragment != "" {
		return malformed("broker_url has a user name or a fragment")
	}
	return nil
}
