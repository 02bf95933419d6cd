package wire

// Remember keeps a note for the members of a mesh, to be found by its words.
// Limit says that the mesh has MaxMemories memories.
type Remember struct {
	Content string `json:"content"` // at most MaxMemoryBytes bytes
	// Tags are at most MaxTags, of MaxTag characters each.
	Tags []string `json:"tags,omitempty"`
}

// MemoryStored answers Remember.
type MemoryStored struct {
	ID string `json:"id"`
}

// Recall searches the memories of a mesh. The words of the query are taken as
// English ones: endings do not matter and stop words are ignored. All others
// must be in a memory or its tags. No text is special.
type Recall struct {
	// Query may be empty where another field says what to find; then the newest
	// come first. It has at most MaxQuery characters.
	Query string `json:"query"`
	// Tag and Author, the name of who remembered, narrow the search;
	// case does not matter, nor how an accent is encoded.
	Tag    string `json:"tag,omitempty"`
	Author string `json:"author,omitempty"`
	// After and Before bound when it was remembered; both are included.
	After  Stamp `json:"after,omitzero"`
	Before Stamp `json:"before,omitzero"`
	// Limit is how many to return at most: 1 to MaxRecall, which it is if absent.
	Limit int `json:"limit,omitempty"`
}

// MemoryResults answers Recall, the best first. Of those that match, the
// newest 500 are compared. A query that has nothing but stop words finds
// nothing.
type MemoryResults struct {
	Memories []Memory `json:"memories"`
}

// Memory is a note that somebody left.
type Memory struct {
	ID           string   `json:"id"`
	Content      string   `json:"content"`
	Tags         []string `json:"tags"`
	RememberedBy string   `json:"rememberedBy"`
	RememberedAt Time     `json:"rememberedAt"`
	// Snippet is the part of a long content where the words of the query are.
	Snippet string `json:"snippet,omitempty"`
}

// Forget removes a memory, whoever left it. The Ack has the memory's id, and
// Unknown where there is none.
type Forget struct {
	// MemoryID is an id, or its first MinPrefix characters or more where these
	// fit one memory only; Ambiguous says that they fit several.
	MemoryID string `json:"memoryId"`
}

func (Remember) FrameType() Type      { return "remember" }
func (MemoryStored) FrameType() Type  { return "memory_stored" }
func (Recall) FrameType() Type        { return "recall" }
func (MemoryResults) FrameType() Type { return "memory_results" }
func (Forget) FrameType() Type        { return "forget" }

func (Remember) answer() (r MemoryStored) { return }
func (Recall) answer() (r MemoryResults)  { return }
func (Forget) answer() (r Ack)            { return }
