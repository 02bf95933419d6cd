package cli

import (
	"cmp"
	"context"
	"flag"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func peersCommand() Command {
	var all bool
	var inGroup, search string
	return Command{
		Name:  "peers",
		Theme: Talk,
		Short: "Show who is online in a mesh",
		Long: `One line for each session: what it is doing, its name, the first digits of its
key, its groups, what kind of client it is, where, and what it says it works on.
Send to the name, the digits or a group.`,
		Examples: []string{"claudemesh peers", "claudemesh peers --all", "claudemesh peers --group frontend --json", "claudemesh peers --search 'postgres migration'"},
		Mesh:     true,
		JSON:     true,
		Output:   []wire.Peer{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&all, "all", false, "show members who are offline too; then, and with --search, --json prints an object with peers and members")
			fs.StringVar(&search, "search", "", "show who fits these `words` best, offline or not: by name, role, group, summary, profile, skill")
			fs.StringVar(&inGroup, "group", "", "show only `group` and the groups below it")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if search != "" {
					return searchPeers(ctx, env, c, search)
				}
				list, err := peer.Call(ctx, c, wire.ListPeers{Group: inGroup, Members: all})
				if err != nil {
					return err
				}
				if !env.JSON {
					printPeers(env, c, list, inGroup)
					return nil
				}
				if all {
					return env.Out().JSON(list)
				}
				return env.Out().JSON(list.Peers)
			})
		},
	}
}

// searchPeers shows who fits, best first.
func searchPeers(ctx context.Context, env *Env, c *peer.Client, query string) error {
	found, err := c.Search(ctx, query)
	if err != nil {
		return err
	}
	list := wire.PeersList{Peers: []wire.Peer{}}
	table := env.Out().Table("STATUS", "NAME", "KEY", "GROUPS", "FOUND BY")
	for _, f := range found {
		var why []string
		for _, w := range f.Why {
			why = append(why, w.Kind+": "+w.Text)
		}
		if f.Peer == nil {
			list.Members = append(list.Members, *f.Member)
			table.Row(env.glyph(Dim, "·", "offline"), f.Member.DisplayName, shortKey(f.Member.Pubkey), "", strings.Join(why, "; "))
			continue
		}
		list.Peers = append(list.Peers, *f.Peer)
		table.Row(env.presence(f.Peer), Styled{Bold, f.Peer.DisplayName}, shortKey(f.Peer.Pubkey), formatGroups(f.Peer.Groups), strings.Join(why, "; "))
	}
	if env.JSON {
		return env.Out().JSON(list)
	}
	table.Flush()
	if len(found) == 0 {
		env.Err().Printf("Nobody in %s fits %s.\n", c.Mesh().Slug, query)
	}
	return nil
}

func printPeers(env *Env, c *peer.Client, list wire.PeersList, inGroup string) {
	table := env.Out().Table("STATUS", "NAME", "KEY", "GROUPS", "KIND", "WHERE", "SUMMARY")
	rows := 0
	for _, p := range list.Peers {
		name := p.DisplayName
		if p.MemberPubkey == c.Mesh().Pubkey {
			name += " (you)"
		}
		where := p.Hostname
		if p.Cwd != "" {
			where += ":" + p.Cwd
		}
		table.Row(env.presence(&p), Styled{Bold, name}, shortKey(p.Pubkey), formatGroups(p.Groups), kindOf(&p), where, summaryOf(&p))
		rows++
	}
	for _, m := range list.Members {
		if m.Online || inGroup != "" {
			continue
		}
		where := ""
		if m.LastSeenAt != nil {
			where = "last here " + env.Out().Time(m.LastSeenAt.Std())
		}
		table.Row(env.glyph(Dim, "·", "offline"), m.DisplayName, shortKey(m.Pubkey), "", m.RoleTag, where, "")
		rows++
	}
	table.Flush()
	if rows > 0 {
		return
	}
	in := c.Mesh().Slug
	if inGroup != "" {
		in = "@" + strings.TrimPrefix(inGroup, "@") + " of " + in
	}
	env.Err().Printf("Nobody is online in %s. `claudemesh peers --all` shows its members.\n", in)
}

// presence shows what a session is doing.
func (e *Env) presence(p *wire.Peer) Styled {
	switch {
	case p.Connection == "grace":
		return e.glyph(Dim, "◌", "away")
	case p.Visible != nil && !*p.Visible:
		return e.glyph(Dim, "◌", "hidden")
	case p.Status == wire.Working:
		return e.glyph(Yellow, "◐", string(p.Status))
	case p.Status == wire.DND:
		return e.glyph(Red, "○", string(p.Status))
	}
	return e.glyph(Green, "●", cmp.Or(string(p.Status), "idle"))
}

// glyph is a word, at a terminal with a sign before it.
func (e *Env) glyph(s Style, sign, word string) Styled {
	if e.Out().Terminal() {
		word = sign + " " + word
	}
	return Styled{s, word}
}

func kindOf(p *wire.Peer) string {
	var words []string
	for _, w := range []string{p.PeerType, p.Channel, p.Model, p.Role} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func summaryOf(p *wire.Peer) string {
	if p.Summary == nil {
		return ""
	}
	return *p.Summary
}

// shortKey is as much of a key as tells people apart and may stand for it.
func shortKey(key string) string { return key[:min(wire.MinPrefix, len(key))] }
