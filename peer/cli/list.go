package cli

import (
	"context"

	"claudemesh/peer"
	"claudemesh/wire"
)

// listed is the JSON form of a joined mesh: the configuration without secrets.
type listed struct {
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	MeshID    string    `json:"meshId"`
	MemberID  string    `json:"memberId"`
	Pubkey    string    `json:"pubkey"`
	BrokerURL string    `json:"brokerUrl"`
	JoinedAt  wire.Time `json:"joinedAt,omitzero"`
}

func listCommand() Command {
	return Command{
		Name:     "list",
		Theme:    Meshes,
		Short:    "List the meshes you have joined",
		Long:     "Reads the configuration only; `claudemesh status` asks the brokers.",
		Examples: []string{"claudemesh list", "claudemesh list --json"},
		JSON:     true,
		Output:   listJSON{},
		Run: func(_ context.Context, env *Env, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			if env.JSON {
				return printListJSON(env, c)
			}
			listTable(env, c)
			return nil
		},
	}
}

// listJSON is what list prints as JSON.
type listJSON struct {
	ConfigPath string   `json:"configPath"`
	Meshes     []listed `json:"meshes"`
}

func printListJSON(env *Env, c *peer.Config) error {
	meshes := make([]listed, len(c.Meshes))
	for i, m := range c.Meshes {
		meshes[i] = listed{m.Slug, m.Name, m.MeshID, m.MemberID, m.Pubkey, m.BrokerURL, m.JoinedAt}
	}
	return env.Out().JSON(listJSON{c.Path(), meshes})
}

func listTable(env *Env, c *peer.Config) {
	out := env.Out()
	table := out.Table("SLUG", "NAME", "MESH ID", "MEMBER ID", "KEY", "JOINED", "BROKER")
	for _, m := range c.Meshes {
		name, key := m.Name, m.Pubkey[:min(16, len(m.Pubkey))]
		if out.Terminal() {
			key = shortKey(m.Pubkey)
			if name == m.Slug {
				name = ""
			}
		}
		table.Row(Styled{Bold, m.Slug}, name, out.id(m.MeshID), out.id(m.MemberID), key, m.JoinedAt, m.BrokerURL)
	}
	table.Flush()
	if len(c.Meshes) == 0 {
		env.Err().Printf("%s\n", peer.ErrNoMesh)
	}
	if out.Terminal() {
		out.Printf("%s\n", Styled{Dim, "configuration: " + c.Path()})
	}
}
