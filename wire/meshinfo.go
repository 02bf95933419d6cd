package wire

// MeshInfo asks for an overview of the mesh.
type MeshInfo struct{}

// MeshInfoResult answers MeshInfo. It counts visible sessions and the caller's
// own, and names what the caller may see. No list has more than MaxInfoList
// bytes of names.
type MeshInfoResult struct {
	Mesh        string     `json:"mesh"`
	Slug        string     `json:"slug"`
	Name        string     `json:"name"`
	Peers       int        `json:"peers"`
	Groups      []string   `json:"groups"`      // each with its @
	StateKeys   []string   `json:"stateKeys"`   // ascending
	MemoryCount int        `json:"memoryCount"` // without forgotten ones
	FileCount   int        `json:"fileCount"`   // without deleted ones
	Tasks       TaskCounts `json:"tasks"`
	Streams     []string   `json:"streams"`
	Tables      []string   `json:"tables"`
	Collections []string   `json:"collections"`
	Skills      []string   `json:"skills"`
	Services    []string   `json:"services"`
	// Cut says that some list is longer than it is here.
	Cut        bool    `json:"cut,omitempty"`
	YourName   string  `json:"yourName"`
	YourGroups []Group `json:"yourGroups"`
	YourPubkey string  `json:"yourPubkey"`
}

// TaskCounts counts tasks by state.
type TaskCounts struct {
	Open    int `json:"open"`
	Claimed int `json:"claimed"`
	Done    int `json:"done"`
}

func (MeshInfo) FrameType() Type       { return "mesh_info" }
func (MeshInfoResult) FrameType() Type { return "mesh_info_result" }

func (MeshInfo) answer() (r MeshInfoResult) { return }
