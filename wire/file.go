package wire

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The headers of POST /upload beside those of a signed request. The body is the content.
const (
	HeaderMesh      = "X-Mesh-Id"
	HeaderMember    = "X-Member-Id"      // who uploads
	HeaderFileName  = "X-File-Name"      // percent-encoded UTF-8; see CleanFileName
	HeaderTags      = "X-Tags"           // JSON array of strings, percent-encoded where it is not ASCII
	HeaderPersist   = "X-Persistent"     // false: the file expires after EphemeralFor
	HeaderTarget    = "X-Target-Spec"    // who may fetch it: a key, @group or *; empty is everyone
	HeaderEncrypted = "X-Encrypted"      // true: the body is sealed, and FileKeys open it
	HeaderOwner     = "X-Owner-Pubkey"   // of a sealed file: a key of the member who uploads
	HeaderFileKeys  = "X-File-Keys"      // of a sealed file: JSON array of FileKey
	HeaderSHA256    = "X-Content-SHA256" // lower-case hex; needed where the request is signed, and for an empty file
)

// A FileKey is the key of a sealed file, sealed to one public key (crypto_box_seal).
type FileKey struct {
	PeerPubkey string `json:"peerPubkey"`
	SealedKey  string `json:"sealedKey"` // base64 of 80 bytes
}

// UploadToken asks for a token that lets its holder upload one file as this session: POST /upload with
// Authorization: Bearer. It is an addition; a broker of an older version does not know it.
type UploadToken struct{}

// UploadTokenResult answers UploadToken.
type UploadTokenResult struct {
	Token     string `json:"token"` // good once
	ExpiresAt Time   `json:"expiresAt"`
}

// GetFile asks for the URL of a file's content.
type GetFile struct {
	FileID string `json:"fileId"`
}

// FileURL answers GetFile. Each is noted in the file's accesses.
type FileURL struct {
	FileID string `json:"fileId"`
	// URL is good for a GET, whole or by Range, until ExpiresAt, and needs nothing but itself. It is as secret as the file.
	URL       string `json:"url"`
	Name      string `json:"name"`
	Encrypted bool   `json:"encrypted,omitempty"`
	SealedKey string `json:"sealedKey,omitempty"` // of a sealed file: its key for the caller

	// What follows are additions.

	// SealedTo is the public key that SealedKey is sealed to: the caller's session's, its member's or another of its member's.
	SealedTo  string `json:"sealedTo,omitempty"`
	Size      int64  `json:"size,omitempty"`   // bytes of the content as it is stored
	SHA256    string `json:"sha256,omitempty"` // of the content as it is stored, lower-case hex
	ExpiresAt *Time  `json:"expiresAt,omitempty"`
}

// ListFiles asks for the files that the caller may fetch.
type ListFiles struct {
	Query string `json:"query,omitempty"` // part of the name or of a tag, whatever the case
	From  string `json:"from,omitempty"`  // name of who shared it, exactly
}

// FileList answers ListFiles, the newest first, at most MaxFileList.
type FileList struct {
	Files []File `json:"files"`
}

// File is a shared file.
type File struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Size       int64    `json:"size"`       // bytes of the content as it is stored
	Tags       []string `json:"tags"`       // labels
	UploadedBy string   `json:"uploadedBy"` // name
	UploadedAt Time     `json:"uploadedAt"` // when it was complete
	Persistent bool     `json:"persistent"` // it does not expire
	Encrypted  bool     `json:"encrypted"`  // only those that its key is sealed to can open it

	// What follows are additions.

	UploaderID string `json:"uploaderId,omitempty"` // member
	Type       string `json:"mimeType,omitempty"`   // as the uploader stated it
	SHA256     string `json:"sha256,omitempty"`     // of the content as it is stored, lower-case hex
	TargetSpec string `json:"targetSpec,omitempty"` // who may fetch it, if not everyone
	ExpiresAt  *Time  `json:"expiresAt,omitempty"`  // of an ephemeral file
}

// GetFileStatus asks who fetched a file.
type GetFileStatus struct {
	FileID string `json:"fileId"`
}

// FileStatus answers GetFileStatus.
type FileStatus struct {
	FileID   string       `json:"fileId"`   // of the file
	Accesses []FileAccess `json:"accesses"` // the newest first, at most MaxFileAccesses
	// File is the file itself. It is an addition.
	File *File `json:"file,omitempty"`
}

// FileAccess tells that somebody was given the URL of a file.
type FileAccess struct {
	PeerName   string `json:"peerName"`         // as it was called then
	AccessedAt Time   `json:"accessedAt"`       // when it was given the URL
	Pubkey     string `json:"pubkey,omitempty"` // address; an addition
}

// DeleteFile removes a file. The Ack's id and messageId are the file's; it has Unknown where there is none.
type DeleteFile struct {
	FileID string `json:"fileId"`
}

// GrantFileAccess lets another key open a sealed file, whose owner alone may ask that. It replaces an earlier grant.
type GrantFileAccess struct {
	FileID     string `json:"fileId"`
	PeerPubkey string `json:"peerPubkey"`
	SealedKey  string `json:"sealedKey"` // base64 of 80 bytes: the file's key sealed to PeerPubkey
}

// FileAccessGranted answers GrantFileAccess.
type FileAccessGranted struct {
	FileID     string `json:"fileId"`
	PeerPubkey string `json:"peerPubkey"`
}

// CleanFileName returns what a file may be called: the last part of a path of
// either kind, without characters that control a terminal or separate paths, of
// at most MaxFileNameBytes. A name of which nothing is left becomes "file".
// It is for display: a client that writes a file has stricter rules of its own.
func CleanFileName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '/' || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return '_'
		}
		return r
	}, name)
	for len(name) > MaxFileNameBytes {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if name = strings.TrimSpace(name); strings.Trim(name, ".") == "" {
		return "file"
	}
	return name
}

func (UploadToken) FrameType() Type       { return "upload_token" }
func (UploadTokenResult) FrameType() Type { return "upload_token_result" }
func (GetFile) FrameType() Type           { return "get_file" }
func (FileURL) FrameType() Type           { return "file_url" }
func (ListFiles) FrameType() Type         { return "list_files" }
func (FileList) FrameType() Type          { return "file_list" }
func (GetFileStatus) FrameType() Type     { return "file_status" }
func (FileStatus) FrameType() Type        { return "file_status_result" }
func (DeleteFile) FrameType() Type        { return "delete_file" }
func (GrantFileAccess) FrameType() Type   { return "grant_file_access" }
func (FileAccessGranted) FrameType() Type { return "grant_file_access_ok" }

func (UploadToken) answer() (r UploadTokenResult)     { return }
func (GetFile) answer() (r FileURL)                   { return }
func (ListFiles) answer() (r FileList)                { return }
func (GetFileStatus) answer() (r FileStatus)          { return }
func (DeleteFile) answer() (r Ack)                    { return }
func (GrantFileAccess) answer() (r FileAccessGranted) { return }
