package peer

import (
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestSearchRanksWhoFits(t *testing.T) {
	about := func(s string) *string { return &s }
	list := &wire.PeersList{
		Peers: []wire.Peer{
			{Pubkey: "1", MemberPubkey: "m1", DisplayName: "ann", Summary: about("migrates the billing databases"), Groups: []wire.Group{{Name: "backend/api", Role: "lead"}}},
			{Pubkey: "2", MemberPubkey: "m2", DisplayName: "database", Connection: "grace"},
			{Pubkey: "3", MemberPubkey: "m3", DisplayName: "carl", Cwd: "/src/billing", Profile: &wire.Profile{Title: "Postgres DBA", Capabilities: []string{"SQL tuning"}}},
			{Pubkey: "4", MemberPubkey: "m4", DisplayName: "dora", Role: "reviewer"},
		},
		Members: []wire.MemberBrief{{Pubkey: "m5", DisplayName: "Reviewer-Ed"}, {Pubkey: "m4", DisplayName: "dora", Online: true}},
	}
	skills := []wire.SkillBrief{{Name: "deploy-to-prod", Description: "rolls out a release", Tags: []string{"kubernetes"}, AuthorPubkey: "m4"}}
	for query, want := range map[string]string{
		"database":         "database ann",      // a name before another form of the word in a summary
		"billing database": "ann database carl", // both words before one
		"reviewer":         "Reviewer-Ed dora",
		"backend":          "ann",
		"postgres sql":     "carl",
		"kubernetes":       "dora",
		"release DEPLOY":   "dora",
		"dba":              "carl", "lead": "ann", "xyz": "", "": "", "!?": "",
	} {
		var got []string
		for _, f := range rank(list, skills, query) {
			if f.Peer != nil {
				got = append(got, f.Peer.DisplayName)
			} else {
				got = append(got, f.Member.DisplayName)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %v, want %s", query, got, want)
		}
	}
	if why := rank(list, skills, "kubernetes release")[0].Why; !slices.Equal(why, []Match{{"skill", "kubernetes"}, {"skill", "rolls out a release"}}) {
		t.Errorf("found by %v", why)
	}
}
