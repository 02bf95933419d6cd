package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// VaultSet keeps a value for the member that sends it, or replaces the one it
// has under that key. The broker cannot read it: Ciphertext is the secretbox of
// the value under a random key of its own, and SealedKey that key, sealed to
// the member's.
type VaultSet struct {
	Key        string    `json:"key"`                  // as ValidVaultKey has it
	Ciphertext string    `json:"ciphertext"`           // base64; of at most MaxVaultValue bytes
	Nonce      string    `json:"nonce"`                // base64 of 24 bytes
	SealedKey  string    `json:"sealed_key"`           // base64 of 80 bytes
	EntryType  VaultType `json:"entry_type,omitempty"` // env if left out
	// MountPath is where in a service a file goes, unless the reference to it
	// says else; at most MaxVaultText characters.
	MountPath   string `json:"mount_path,omitempty"`
	Description string `json:"description,omitempty"` // at most MaxVaultText characters
}

// VaultType is what the value of a vault entry is.
type VaultType string

// The types.
const (
	VaultEnv  VaultType = "env"  // text, for a variable of the environment
	VaultFile VaultType = "file" // the bytes of a file
)

// VaultAck answers VaultSet and VaultDelete.
type VaultAck struct {
	Key    string `json:"key"`
	Action string `json:"action"` // stored, deleted or not_found
}

// Values of VaultAck.Action.
const (
	VaultStored   = "stored"
	VaultDeleted  = "deleted"
	VaultNotFound = "not_found"
)

// VaultList asks for the member's own entries.
type VaultList struct{}

// VaultListResult answers VaultList, ascending by key.
type VaultListResult struct {
	Entries []VaultEntry `json:"entries"`
}

// VaultEntry is an entry without its value.
type VaultEntry struct {
	Key         string    `json:"key"`
	EntryType   VaultType `json:"entry_type"`            // env or file
	MountPath   string    `json:"mount_path,omitempty"`  // where in a service a file goes
	Description string    `json:"description,omitempty"` // what it is
	UpdatedAt   Time      `json:"updated_at"`            // when it was last set
	Size        int       `json:"size,omitempty"`        // bytes of the value
}

// VaultGet asks for entries of the member's own, to be decrypted by it.
type VaultGet struct {
	Keys []string `json:"keys"` // at most MaxVaultEntries
}

// VaultGetResult answers VaultGet, in the order asked for and each key once.
type VaultGetResult struct {
	Entries []VaultSealed `json:"entries"` // without those that there are none of
	// More are the keys that a frame had no room for: ask for them again.
	More []string `json:"more,omitempty"`
}

// VaultSealed is an entry as VaultSet has it.
type VaultSealed struct {
	Key        string    `json:"key"`
	Ciphertext string    `json:"ciphertext"`           // base64
	Nonce      string    `json:"nonce"`                // base64
	SealedKey  string    `json:"sealed_key"`           // base64
	EntryType  VaultType `json:"entry_type"`           // env or file
	MountPath  string    `json:"mount_path,omitempty"` // where in a service a file goes
}

// VaultDelete deletes an entry of the member's own.
type VaultDelete struct {
	Key string `json:"key"`
}

// VaultRotate makes a new key for what the broker keeps sealed and must read
// again, in every mesh that it has, and seals all of that under it: the
// environments of services, the headers of watches, the signing secrets of
// webhooks. Only admins may. The entries of the vault are not concerned: they
// are sealed to the keys of members.
type VaultRotate struct{}

// VaultRotated answers VaultRotate.
type VaultRotated struct {
	KeyID  string `json:"key_id"` // of the new key, 16 hex digits
	Values int    `json:"values"` // of this mesh, which are under the new key
	// OlderKeys are kept until nothing is under them any more, which is looked at
	// in a minute.
	OlderKeys int `json:"older_keys"`
}

// How the environment of a service refers to the vault of who deploys it, and
// how the file that a reference means is handed to the broker.
const (
	vaultRef       = "$vault:"
	vaultFileMark  = ":file"
	vaultFileValue = "__vault_file__:"
)

// ValidVaultKey reports whether s may name an entry: 1 to MaxVaultKey
// characters, none of them a control character, and without what divides key
// and path in a reference.
func ValidVaultKey(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= MaxVaultKey && !HasControl(s) &&
		!strings.HasSuffix(s, vaultFileMark) && !strings.Contains(s, vaultFileMark+":")
}

// A VaultRef is a value of an environment that stands for an entry.
type VaultRef struct {
	Key string
	// File says that the value is to become a file of the service.
	File bool
	Path string // of the file; "" for the entry's own
}

// ParseVaultRef reads a reference: $vault:key for the text of an entry,
// $vault:key:file:path for a file with it, $vault:key:file for one at the
// path of the entry. It reports whether value is one.
func ParseVaultRef(value string) (ref VaultRef, ok bool) {
	rest, ok := strings.CutPrefix(value, vaultRef)
	if !ok {
		return ref, false
	}
	if ref.Key, ok = strings.CutSuffix(rest, vaultFileMark); ok {
		ref.File = true
		return ref, true
	}
	ref.Key, ref.Path, ref.File = strings.Cut(rest, vaultFileMark+":")
	return ref, true
}

// VaultFileValue is the value that a reference to a file is replaced by:
// __vault_file__:path:base64 of the bytes.
func VaultFileValue(path string, content []byte) string {
	return vaultFileValue + path + ":" + base64.StdEncoding.EncodeToString(content)
}

// ParseVaultFileValue reads what VaultFileValue makes. It reports whether value is such;
// err is about one that is and cannot be read, and shows nothing of it.
func ParseVaultFileValue(value string) (path string, content []byte, ok bool, err error) {
	rest, ok := strings.CutPrefix(value, vaultFileValue)
	if !ok {
		return "", nil, false, nil
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return "", nil, true, Errorf(BadRequest, "it must be %s<path>:<base64>", vaultFileValue)
	}
	content, err = base64.StdEncoding.Strict().DecodeString(rest[i+1:])
	if err != nil {
		return rest[:i], nil, true, Errorf(BadRequest, "its content is not base64")
	}
	return rest[:i], content, true, nil
}

func (VaultSet) FrameType() Type        { return "vault_set" }
func (VaultAck) FrameType() Type        { return "vault_ack" }
func (VaultList) FrameType() Type       { return "vault_list" }
func (VaultListResult) FrameType() Type { return "vault_list_result" }
func (VaultGet) FrameType() Type        { return "vault_get" }
func (VaultGetResult) FrameType() Type  { return "vault_get_result" }
func (VaultDelete) FrameType() Type     { return "vault_delete" }
func (VaultRotate) FrameType() Type     { return "vault_rotate" }
func (VaultRotated) FrameType() Type    { return "vault_rotated" }

func (VaultSet) answer() (r VaultAck)         { return }
func (VaultList) answer() (r VaultListResult) { return }
func (VaultGet) answer() (r VaultGetResult)   { return }
func (VaultDelete) answer() (r VaultAck)      { return }
func (VaultRotate) answer() (r VaultRotated)  { return }
