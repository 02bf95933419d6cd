package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLink is the length in bytes of the longest token, link or payload that is read.
const MaxLink = 64 << 10

// maxInteger is the greatest integer that every JSON implementation reads exactly.
const maxInteger = 1<<53 - 1

const linkPrefix = "ic://join/"

// Link returns the link that people pass on: ic://join/ and the token.
func (i Invite) Link() string { return linkPrefix + i.Token() }

// ParseLink finds the token in what someone was given: a link as Link makes it, an http or https link that ends in
// /join/<token> with an optional two-letter locale before join, or the bare token of more than 20 characters, with
// space around it and at most one slash behind. The token is not decoded. The error wraps ErrInviteMalformed and
// shows at most the first 40 characters of the input.
func ParseLink(input string) (string, error) {
	if len(input) > MaxLink {
		return "", malformed("it has %d bytes, more than %d", len(input), MaxLink)
	}
	s := strings.TrimSpace(input)
	if rest, ok := strings.CutPrefix(s, linkPrefix); ok {
		token := strings.TrimSuffix(rest, "/")
		if token == "" {
			return "", malformed("the link %s ends before its token", linkPrefix)
		}
		if !isToken(token) {
			return "", malformed("%q has characters that no token has", first40(s))
		}
		return token, nil
	}
	if token, ok := webToken(s); ok {
		return token, nil
	}
	if len(s) > 20 && isToken(s) {
		return s, nil
	}
	return "", malformed("%q is neither a link %s… or https://…/join/… nor a token", first40(s), linkPrefix)
}

// webToken returns the token of http(s)://<host>/join/<token>, with an optional two-letter locale before join.
func webToken(s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	host, path, slash := strings.Cut(rest, "/")
	if !ok || !slash || host == "" || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", false
	}
	if locale, after, ok := strings.Cut(path, "/"); ok && len(locale) == 2 && isLower(locale[0]) && isLower(locale[1]) {
		path = after
	}
	token, ok := strings.CutPrefix(path, "join/")
	token = strings.TrimSuffix(token, "/")
	return token, ok && isToken(token)
}

// isToken reports whether s is of the base64url alphabet and not empty.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLower(c) && !isDigit(c) && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func first40(s string) string {
	n := 0
	for i := range s {
		if n == 40 {
			return s[:i]
		}
		n++
	}
	return s
}

// DecodeToken reads a token into the invite it encodes. Only the shape is checked, as UnmarshalJSON does; Validate
// does the rest. Errors wrap an ErrInvite kind and show nothing of the token.
func DecodeToken(token string) (Invite, error) {
	if len(token) > MaxLink {
		return Invite{}, malformed("its token has %d bytes, more than %d", len(token), MaxLink)
	}
	if !isToken(token) {
		return Invite{}, malformed("its token is not base64url without padding")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Invite{}, malformed("its token is not base64url without padding")
	}
	var i Invite
	if err := i.UnmarshalJSON(data); err != nil {
		return Invite{}, err
	}
	return i, nil
}

// UnmarshalJSON reads a payload more strictly than encoding/json does, so that no two readers take it differently:
// names are matched exactly and given once, integers are plain digits up to 2^53-1, the text is UTF-8 of at most MaxLink
// bytes. Names it does not know are passed over, as the signature does not cover them. Errors wrap an ErrInvite kind.
func (i *Invite) UnmarshalJSON(data []byte) error {
	fields, err := splitObject(data)
	if err != nil {
		return err
	}
	r := fieldReader{fields: fields}
	read := Invite{V: r.integer("v")}
	if r.err == nil && read.V != InviteVersion {
		return fmt.Errorf("%w (version %d)", ErrInviteVersion, read.V)
	}
	read.MeshID = r.text("mesh_id")
	read.MeshSlug = r.text("mesh_slug")
	read.BrokerURL = r.text("broker_url")
	read.ExpiresAt = r.integer("expires_at")
	read.MeshRootKey = r.text("mesh_root_key")
	read.Role = r.text("role")
	read.OwnerPubkey = r.text("owner_pubkey")
	read.Signature = r.text("signature")
	if r.err != nil {
		return r.err
	}
	*i = read
	return nil
}

// splitObject returns the fields of a JSON object, and refuses a name that stands in it twice.
func splitObject(data []byte) (map[string]json.RawMessage, error) {
	if len(data) > MaxLink {
		return nil, malformed("its payload has %d bytes, more than %d", len(data), MaxLink)
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, malformed("its payload is not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, malformed("its payload is not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, malformed("its payload is not JSON")
		}
		key, _ := name.(string)
		if _, twice := fields[key]; twice {
			return nil, malformed("its payload names %q twice", first40(key))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed("its payload is not JSON")
		}
		fields[key] = value
	}
	return fields, nil
}

// fieldReader reads fields one by one and keeps the first error.
type fieldReader struct {
	fields map[string]json.RawMessage
	err    error
}

func (r *fieldReader) text(name string) string {
	var s string
	raw := r.fields[name]
	if r.err == nil && (len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil) {
		r.err = malformed("%s is not a string", name)
	}
	return s
}

func (r *fieldReader) integer(name string) int64 {
	n, err := strconv.ParseInt(string(r.fields[name]), 10, 64)
	if r.err == nil && (err != nil || n < 0 || n > maxInteger) {
		r.err = malformed("%s is not a whole number in plain digits", name)
	}
	return n
}
