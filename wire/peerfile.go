package wire

// PeerFileRequest asks a peer for a file of the directories it shares. What
// prevents an answer is the Error of the answer; an *Error frame only says that
// the request came to nobody.
type PeerFileRequest struct {
	// TargetPubkey is the key of a session or a member, all 64 digits. Of
	// a member's sessions one is asked.
	TargetPubkey string `json:"targetPubkey"`
	// FilePath is relative to a shared directory, with / between its elements.
	FilePath string `json:"filePath"`
}

// PeerFileRequestForward hands a request to the peer it is for. Its _reqId is
// the broker's, and must be that of the answer.
type PeerFileRequestForward struct {
	RequesterPubkey string `json:"requesterPubkey"` // address
	FilePath        string `json:"filePath"`
}

// PeerFileResponse answers PeerFileRequestForward under its _reqId. It counts
// once, from the peer that was asked, within RelayDeadline; the ack says no
// more than that it was read.
type PeerFileResponse struct {
	RequesterPubkey string `json:"requesterPubkey"`
	FilePath        string `json:"filePath"`
	// Content is base64 of the file, at most MaxPeerFile bytes; of an empty
	// file it is there and empty.
	Content *string `json:"content,omitempty"`
	Error   string  `json:"error,omitempty"` // for people
}

// PeerFileResponseForward answers PeerFileRequest.
type PeerFileResponseForward struct {
	FilePath string  `json:"filePath"`          // as it was asked for
	Content  *string `json:"content,omitempty"` // base64
	Error    string  `json:"error,omitempty"`   // for people
}

// PeerDirRequest asks a peer what is in a directory that it shares.
type PeerDirRequest struct {
	TargetPubkey string `json:"targetPubkey"` // as in PeerFileRequest
	// DirPath is relative to a shared directory; empty and . are the shared
	// directories themselves.
	DirPath string `json:"dirPath"`
	// Pattern picks entries: * and ? within a name, in any case. With a / it is
	// held against the path from DirPath, where ** is any number of
	// directories, else against the name.
	Pattern string `json:"pattern,omitempty"`
}

// PeerDirRequestForward hands a request to the peer it is for, as
// PeerFileRequestForward does.
type PeerDirRequestForward struct {
	RequesterPubkey string `json:"requesterPubkey"` // address
	DirPath         string `json:"dirPath"`
	Pattern         string `json:"pattern,omitempty"`
}

// PeerDirResponse answers PeerDirRequestForward, as PeerFileResponse does.
type PeerDirResponse struct {
	RequesterPubkey string `json:"requesterPubkey"`
	DirPath         string `json:"dirPath"`
	// Entries are what is in the directory and in two levels below it, relative
	// to it, ascending, at most MaxPeerEntries; directories end with a /.
	Entries []string `json:"entries,omitzero"`
	// More says that there is more than was listed.
	More  bool   `json:"more,omitempty"`
	Error string `json:"error,omitempty"` // for people
}

// PeerDirResponseForward answers PeerDirRequest.
type PeerDirResponseForward struct {
	DirPath string   `json:"dirPath"`          // as it was asked for
	Entries []string `json:"entries,omitzero"` // as in PeerDirResponse
	More    bool     `json:"more,omitempty"`   // there is more than was listed
	Error   string   `json:"error,omitempty"`  // for people
}

func (PeerFileRequest) FrameType() Type         { return "peer_file_request" }
func (PeerFileRequestForward) FrameType() Type  { return "peer_file_request_forward" }
func (PeerFileResponse) FrameType() Type        { return "peer_file_response" }
func (PeerFileResponseForward) FrameType() Type { return "peer_file_response_forward" }
func (PeerDirRequest) FrameType() Type          { return "peer_dir_request" }
func (PeerDirRequestForward) FrameType() Type   { return "peer_dir_request_forward" }
func (PeerDirResponse) FrameType() Type         { return "peer_dir_response" }
func (PeerDirResponseForward) FrameType() Type  { return "peer_dir_response_forward" }

func (PeerFileRequest) answer() (r PeerFileResponseForward) { return }
func (PeerFileResponse) answer() (r Ack)                    { return }
func (PeerDirRequest) answer() (r PeerDirResponseForward)   { return }
func (PeerDirResponse) answer() (r Ack)                     { return }
