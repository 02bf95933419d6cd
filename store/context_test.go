package store

import (
	"testing"
	"time"
)

func TestContextsAreOneOfEachMemberAndAreFound(t *testing.T) {
	db := open(t)
	share := func(id, member string, minutes int, body ContextBody) string {
		c := &Context{ID: id, Member: member, Author: member, Body: body, Updated: epoch.Add(time.Duration(minutes) * time.Minute)}
		mustWrite(t, db, func(tx *Tx) error { return tx.ShareContext(c) })
		return c.ID
	}
	share("1", "ann", 0, ContextBody{Summary: "The parser is slow", Files: []string{"old.go"}})
	share("2", "bob", 1, ContextBody{Summary: "100% of logins fail on ÄRGER", Tags: []string{"auth"}})
	share("3", "cy", 2, ContextBody{Summary: "nothing yet", Findings: []string{`C:\temp is full`}})
	if id := share("4", "ann", 3, ContextBody{Summary: "Parsing twice wastes time", Files: []string{"src/parse_all.go"}, Findings: []string{"cache the tokens"}}); id != "1" {
		t.Errorf("the context that was replaced has the id %s now", id)
	}
	for query, want := range map[string][]string{
		"":               {"ann", "cy", "bob"},
		"parse":          {"ann"}, // by its words
		"PARSE_ALL":      {"ann"}, // as it stands
		"parse%all":      {"ann"}, // by its words
		"src/parse":      {"ann"},
		"ärger":          {"bob"},
		"0% of log":      {"bob"}, // as it stands
		"%":              {"bob"},
		"_":              {"ann"},
		`c:\temp`:        {"cy"},
		`\`:              {"cy"},
		"old.go":         {}, // was replaced
		"slow":           {},
		"auth":           {"bob"},
		"tokens waste":   {"ann"},
		"tokens logins":  {}, // of two contexts
		`" OR summary:*`: {},
	} {
		var got []string
		mustRead(t, db, func(rx *Rx) error {
			all, err := rx.FindContexts(query, 20)
			for _, c := range all {
				got = append(got, c.Author)
			}
			return err
		})
		if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
	mustRead(t, db, func(rx *Rx) error {
		var first []string
		err := rx.Contexts(func(c *Context) bool { first = append(first, c.Author); return len(first) < 2 })
		equal(t, first, []string{"ann", "cy"})
		return err
	})
}
