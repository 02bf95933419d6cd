package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
)

// joinTime bounds the enrollment.
const joinTime = 20 * time.Second

// joinedJSON is what join prints as JSON.
type joinedJSON struct {
	Slug        string `json:"slug"`
	MeshID      string `json:"meshId"`
	MemberID    string `json:"memberId"`
	DisplayName string `json:"displayName"`
	Pubkey      string `json:"pubkey"`
	BrokerURL   string `json:"brokerUrl"`
	ConfigPath  string `json:"configPath"`
	// AlreadyMember is true if this user was a member before: the name stays,
	// and no use of the invite is taken.
	AlreadyMember bool `json:"alreadyMember,omitempty"`
}

func joinCommand() Command {
	var name string
	return Command{
		Name:  "join",
		Theme: Start,
		Args:  "<link>",
		Short: "Join a mesh with an invite",
		Long: `Makes a key for you, enrolls it with the broker that the invite names, and keeps
it in the configuration. To join a mesh again keeps the key and the name you
have; ` + "`claudemesh members rename`" + ` changes the name.`,
		Examples: []string{
			"claudemesh join ic://join/eyJ2IjoxLCJtZXNoX2lkIjoi...",
			"claudemesh join --name bob ic://join/eyJ2IjoxLCJtZXNoX2lkIjoi...",
		},
		JSON:   true,
		Output: joinedJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&name, "name", "", "be known as `name` in the mesh; your user name if not given")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, joinTime)
			defer cancel()
			done := env.Progress("joining")
			m, err := joinAndSave(ctx, env, args[0], cmp.Or(name, userName(env)))
			done()
			if err != nil {
				return joinHint(err)
			}
			if m.already && name != "" && name != m.name {
				env.Err().Printf("--name %s was not used: you are %s there. `claudemesh members rename %q --mesh %s` changes that.\n", name, m.name, name, m.Slug)
			}
			return printJoined(env, m)
		},
	}
}

func printJoined(env *Env, m *membership) error {
	c, err := env.Config()
	if err != nil {
		return err
	}
	out := env.Out()
	if env.JSON {
		return out.JSON(joinedJSON{m.Slug, m.MeshID, m.MemberID, m.name, m.Pubkey, m.BrokerURL, c.Path(), m.already})
	}
	if m.already {
		out.Printf("You are a member of %s already, as %s.\n", Styled{Bold, m.Slug}, Styled{Bold, m.name})
	} else {
		out.Printf("Joined %s as %s.\n", Styled{Bold, m.Slug}, Styled{Bold, m.name})
	}
	if m.Slug != m.asked {
		out.Printf("Here it is called %s, because you have joined another mesh called %s.\n", m.Slug, m.asked)
	}
	out.Printf("  member %s, key %s…, broker %s\n", m.MemberID, m.Pubkey[:16], m.BrokerURL)
	out.Printf("  kept in %s\n", c.Path())
	out.Printf("Next: `claudemesh peers`, `claudemesh send <name> <message>`, `claudemesh inbox`.\n")
	return nil
}

// joinHint says what to do about an invite that was refused.
func joinHint(err error) error {
	switch {
	case errors.Is(err, seal.ErrInviteMalformed) || errors.Is(err, seal.ErrInviteSignature):
		return WithHint(err, "copy the whole link: it is one word that begins with ic://join/")
	case errors.Is(err, peer.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return WithHint(err, "is the broker running, and can this machine reach it?")
	}
	return err
}

// reuseKey joins with the key that the configuration has for the mesh of the
// link, so that to join again makes no second member.
func reuseKey(env *Env, j *peer.JoinRequest) error {
	token, err := seal.ParseLink(j.Link)
	if err != nil {
		return err
	}
	inv, err := seal.DecodeToken(token)
	if err != nil {
		return err
	}
	c, err := env.Config()
	if err != nil {
		return err
	}
	for _, m := range c.Meshes {
		if m.MeshID == inv.MeshID {
			j.Key, err = seal.ParsePrivateKey(m.SecretKey)
			return err
		}
	}
	return nil
}
