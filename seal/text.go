package seal

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The first fields of the texts that have one of their own. A mesh with such an id is refused, or the hello of a mesh
// called "join" could be passed off as a request to join.
const (
	tagHook      = "hook"
	tagJoin      = "join"
	tagHTTP      = "http"
	tagMulticast = "multicast"
	tagAudit     = "audit"
)

// HelloText is what the member key signs to connect: meshId|memberId|pubkey|timestamp. The timestamp is in
// milliseconds, pubkey the hex digits as transmitted.
//
// This and the other texts are refused when a field holds '|' where the text could then be read as other fields
// than those that were signed, or is not UTF-8. At most one field of a text is exempt, because fields of fixed
// shape stand on both sides of it: the working directory, the path, and the target of a multicast.
func HelloText(meshID, memberID, pubkey string, timestamp int64) (string, error) {
	return join(field{name: "meshId", text: meshID, leads: true}, field{name: "memberId", text: memberID},
		field{name: "pubkey", text: pubkey}, number(timestamp))
}

// SessionText is what the session key signs to prove itself in a hello:
// meshId|memberId|pubkey|sessionPubkey|timestamp.
func SessionText(meshID, memberID, pubkey, sessionPubkey string, timestamp int64) (string, error) {
	return join(field{name: "meshId", text: meshID, leads: true}, field{name: "memberId", text: memberID},
		field{name: "pubkey", text: pubkey}, field{name: "sessionPubkey", text: sessionPubkey}, number(timestamp))
}

// HookText is what the member key signs to report a status from a host hook:
// hook|mesh_id|pubkey|status|session_id|cwd|timestamp. sessionID may be empty; cwd may hold '|'.
func HookText(meshID, pubkey, status, sessionID, cwd string, timestamp int64) (string, error) {
	return join(field{text: tagHook}, field{name: "mesh_id", text: meshID}, field{name: "pubkey", text: pubkey},
		field{name: "status", text: status}, field{name: "session_id", text: sessionID},
		field{name: "cwd", text: cwd, free: true}, number(timestamp))
}

// JoinText is what a new member key signs to prove that its owner is the one who joins:
// join|mesh_id|peer_pubkey|invite_token.
func JoinText(meshID, peerPubkey, inviteToken string) (string, error) {
	return join(field{text: tagJoin}, field{name: "mesh_id", text: meshID},
		field{name: "peer_pubkey", text: peerPubkey}, field{name: "invite_token", text: inviteToken})
}

// HTTPText is what the member key signs under an HTTP request: http|METHOD|path|pubkey|timestamp|SHA-256 of the body,
// the sum of no bytes where there is no body. path is the request target as it stands in the request line: escaped,
// and with the query where there is one, so that the query is signed too. It may hold '|'.
func HTTPText(method, path, pubkey string, timestamp int64, bodySum [32]byte) (string, error) {
	return join(field{text: tagHTTP}, field{name: "method", text: method}, field{name: "path", text: path, free: true},
		field{name: "pubkey", text: pubkey}, number(timestamp), field{text: hex.EncodeToString(bodySum[:])})
}

// field is one field of a canonical text.
type field struct {
	name  string // for errors; only fields that cannot be refused have none
	text  string
	leads bool // it is a mesh id in first place and must not be one of the tags
	free  bool // it may hold '|'; at most one field of a text
}

func number(n int64) field { return field{text: strconv.FormatInt(n, 10)} }

func join(fields ...field) (string, error) {
	texts := make([]string, len(fields))
	for i, f := range fields {
		switch {
		case !f.free && strings.Contains(f.text, "|"):
			return "", fmt.Errorf("cannot sign or verify: %s contains '|', which separates the fields of a signed text", f.name)
		case !utf8.ValidString(f.text):
			return "", fmt.Errorf("cannot sign or verify: %s is not valid UTF-8", f.name)
		case f.leads && slices.Contains([]string{tagHook, tagJoin, tagHTTP, tagMulticast, tagAudit}, f.text):
			return "", fmt.Errorf("cannot sign or verify: %s is %q, which marks another kind of signed text", f.name, f.text)
		}
		texts[i] = f.text
	}
	return strings.Join(texts, "|"), nil
}
