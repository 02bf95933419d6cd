package peer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ToolServer is an MCP server of this machine that its user lends to a mesh: a
// program that speaks MCP on its standard input and output, or the URL of an
// endpoint (streamable HTTP). Env and Headers may hold secrets.
type ToolServer struct {
	Command     string            `json:"command,omitempty"` // found in PATH; no shell runs it
	Args        []string          `json:"args,omitempty"`
	Env         map[string]string `json:"env,omitempty"` // added to a minimal environment
	Dir         string            `json:"dir,omitempty"` // to run in; empty is the home directory
	URL         string            `json:"url,omitempty"` // instead of a command
	Headers     map[string]string `json:"headers,omitempty"`
	Description string            `json:"description,omitempty"` // for the other members

	Extra map[string]json.RawMessage `json:"-"`
}

// MarshalJSON implements json.Marshaler: known keys first, then Extra.
func (s ToolServer) MarshalJSON() ([]byte, error) {
	type known ToolServer
	return encodeKeeping(known(s), s.Extra)
}

// UnmarshalJSON implements json.Unmarshaler; unknown keys go to Extra.
func (s *ToolServer) UnmarshalJSON(p []byte) (err error) {
	type known ToolServer
	s.Extra, err = decodeKeeping(p, (*known)(s))
	return err
}

func (s ToolServer) String() string { return "tool server " + s.Command + s.URL }

// Format implements fmt.Formatter, so that no verb prints a secret.
func (s ToolServer) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// ToolServer returns the server of that name that the user lends to a mesh, an
// entry of the mesh before one for every mesh, and whether there is one. As
// with Shared, it is the user's configuration that counts.
func (c *Config) ToolServer(meshID, name string) (ToolServer, bool, error) {
	if own := c.UserDir(); own != c.dir {
		users, err := LoadConfig(own)
		if err != nil {
			return ToolServer{}, false, err
		}
		c = users
	}
	i := slices.IndexFunc(c.Meshes, func(m Mesh) bool { return m.MeshID == meshID })
	if i < 0 {
		return ToolServer{}, false, nil
	}
	all := maps.Clone(c.ToolServers)
	if all == nil {
		all = make(map[string]ToolServer)
	}
	maps.Copy(all, c.Meshes[i].ToolServers)
	s, ok := all[name]
	return s, ok, nil
}
