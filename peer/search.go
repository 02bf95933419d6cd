package peer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"claudemesh/wire"
)

const (
	maxTerms = 16 // words of a search that count
	maxFound = 50 // results of one
)

// A Found is a session, or a member without one, that a search fits.
type Found struct {
	Peer   *wire.Peer        // nil for a member who is not here
	Member *wire.MemberBrief // nil for a session
	// Matched is how many of the words fit, Score how well: only good to
	// compare results of one search.
	Matched int
	Score   int
	// Why are what it was found by: a kind, such as name, group or skill, and
	// the text that fits.
	Why []Match
}

// A Match is a text that a word of a search fits.
type Match struct{ Kind, Text string }

// Search returns who of the mesh fits the words of a query, best first and at
// most 50: by name, role, group, summary, profile, directory, kind of client,
// and the skills they have shared. Members who are offline come after sessions
// that fit as well. This client's own session is not among them.
func (c *Client) Search(ctx context.Context, query string) ([]Found, error) {
	list, err := Call(ctx, c, wire.ListPeers{Members: true})
	if err != nil {
		return nil, err
	}
	skills, err := Call(ctx, c, wire.ListSkills{})
	if err != nil {
		c.log.Debug("searched without skills", "err", err) // an older broker
	}
	list.Peers = slices.DeleteFunc(list.Peers, func(p wire.Peer) bool { return p.Pubkey == c.address })
	return rank(&list, skills.Skills, query), nil
}

// rank finds and orders.
func rank(list *wire.PeersList, skills []wire.SkillBrief, query string) []Found {
	terms := words(query)
	terms = terms[:min(len(terms), maxTerms)]
	shared := make(map[string][]text) // by the key of the member
	for _, s := range skills {
		shared[s.AuthorPubkey] = append(shared[s.AuthorPubkey],
			text{"skill", s.Name, 5}, text{"skill", s.Description, 3}, text{"skill", strings.Join(s.Tags, " "), 3})
	}
	var all []Found
	add := func(f Found, texts []text) {
		if f.match(terms, texts); f.Matched > 0 {
			all = append(all, f)
		}
	}
	for i := range list.Peers {
		p := &list.Peers[i]
		add(Found{Peer: p}, append(textsOf(p), shared[p.MemberPubkey]...))
	}
	for i := range list.Members {
		if m := &list.Members[i]; !m.Online {
			add(Found{Member: m}, append([]text{{"name", m.DisplayName, 8}, {"role", m.RoleTag, 5}}, shared[m.Pubkey]...))
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Matched, a.Matched), cmp.Compare(b.Score, a.Score), here(b)-here(a))
	})
	return all[:min(len(all), maxFound)]
}

func here(f Found) int {
	switch {
	case f.Peer == nil:
		return 0
	case f.Peer.Connection == "grace":
		return 1
	}
	return 2
}

// A text is something a peer can be found by, and what a word in it counts.
type text struct {
	kind, text string
	weight     int
}

func textsOf(p *wire.Peer) []text {
	texts := []text{{"name", p.DisplayName, 8}, {"role", p.Role, 5}, {"role", p.RoleTag, 5}}
	for _, g := range p.Groups {
		texts = append(texts, text{"group", g.Name, 5}, text{"role", g.Role, 4})
	}
	if p.Profile != nil {
		texts = append(texts, text{"title", p.Profile.Title, 5}, text{"bio", p.Profile.Bio, 3})
		for _, c := range p.Profile.Capabilities {
			texts = append(texts, text{"capability", c, 5})
		}
	}
	if p.Summary != nil {
		texts = append(texts, text{"summary", *p.Summary, 4})
	}
	return append(texts, text{"directory", p.Cwd, 2}, text{"host", p.Hostname, 2}, text{"client", p.PeerType + " " + p.Channel + " " + p.Model, 1})
}

// match counts each term once, by the text that it fits best.
func (f *Found) match(terms []string, texts []text) {
	for _, term := range terms {
		best, found := 0, -1
		for i, t := range texts {
			if s := t.weight * fit(term, t.text); s > best {
				best, found = s, i
			}
		}
		if found < 0 {
			continue
		}
		f.Matched++
		f.Score += best
		if m := (Match{texts[found].kind, texts[found].text}); !slices.Contains(f.Why, m) {
			f.Why = append(f.Why, m)
		}
	}
}

// fit says how well a term fits a text: 4 as one of its words, 3 as the
// beginning of one, 2 as another form of one, 1 within one, 0 not at all.
func fit(term, text string) (best int) {
	const minStem = 4 // letters that two forms of a word have in common
	for _, w := range words(text) {
		switch {
		case w == term:
			return 4
		case strings.HasPrefix(w, term):
			best = max(best, 3)
		case common(w, term) >= max(minStem, utf8.RuneCountInString(w)-3, utf8.RuneCountInString(term)-3):
			best = max(best, 2)
		case utf8.RuneCountInString(term) > 2 && strings.Contains(w, term):
			best = max(best, 1)
		}
	}
	return best
}

// common counts the characters that two words begin with.
func common(a, b string) (n int) {
	ar, br := []rune(a), []rune(b)
	for n < len(ar) && n < len(br) && ar[n] == br[n] {
		n++
	}
	return n
}

// words are the words of a text in lower case, each once.
func words(text string) []string {
	var out []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
