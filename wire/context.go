package wire

// ShareContext tells the members of a mesh what its sender has learned. It
// replaces what the same member, in whichever session, shared before. All of it
// has at most MaxContextBytes bytes; a list has at most MaxContextList entries
// of at most MaxContextItem characters, and there are at most MaxTags tags of
// MaxTag characters.
type ShareContext struct {
	Summary     string   `json:"summary"` // at most MaxContextSummary characters
	FilesRead   []string `json:"filesRead,omitempty"`
	KeyFindings []string `json:"keyFindings,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// ContextShared answers ShareContext. The id of a member's context stays.
type ContextShared struct {
	ID string `json:"id"`
}

// GetContext searches the contexts of a mesh: those in which the query stands
// as it is, ignoring case, and those that have all its words, in whatever
// part. No text is special; an empty query finds all.
type GetContext struct {
	Query string `json:"query"` // at most MaxQuery characters
}

// ContextResults answers GetContext with at most MaxRecall, the newest first.
type ContextResults struct {
	Contexts []SharedContext `json:"contexts"`
}

// SharedContext is what a member has learned.
type SharedContext struct {
	PeerName    string   `json:"peerName"`
	Summary     string   `json:"summary"`
	FilesRead   []string `json:"filesRead"`
	KeyFindings []string `json:"keyFindings"`
	Tags        []string `json:"tags"`
	UpdatedAt   Time     `json:"updatedAt"`
}

// ListContexts asks for the contexts of all members in brief.
type ListContexts struct{}

// ContextList answers ListContexts, the newest first, as many as fit a frame.
type ContextList struct {
	Contexts []ContextBrief `json:"contexts"`
}

// ContextBrief is a SharedContext without its lists.
type ContextBrief struct {
	PeerName  string   `json:"peerName"`
	Summary   string   `json:"summary"`
	Tags      []string `json:"tags"`
	UpdatedAt Time     `json:"updatedAt"`
}

func (ShareContext) FrameType() Type   { return "share_context" }
func (ContextShared) FrameType() Type  { return "context_shared" }
func (GetContext) FrameType() Type     { return "get_context" }
func (ContextResults) FrameType() Type { return "context_results" }
func (ListContexts) FrameType() Type   { return "list_contexts" }
func (ContextList) FrameType() Type    { return "context_list" }

func (ShareContext) answer() (r ContextShared) { return }
func (GetContext) answer() (r ContextResults)  { return }
func (ListContexts) answer() (r ContextList)   { return }
