package store

import (
	"strings"
	"time"
)

const (
	contextColumns = `id, author, body, updated`
	upsertContext  = `INSERT INTO context (id, member, author, body, folded, updated) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (member) DO UPDATE SET author = excluded.author, body = excluded.body, folded = excluded.folded, updated = excluded.updated
		RETURNING num, id`
	selectContexts     = `SELECT ` + contextColumns + ` FROM context ORDER BY updated DESC, num DESC`
	selectContextFound = `SELECT ` + contextColumns + ` FROM context WHERE instr(folded, ?1)
		OR ?2 != '' AND num IN (SELECT rowid FROM context_text WHERE context_text MATCH ?2)
		ORDER BY updated DESC, num DESC LIMIT ?3`
	replaceContextText = `INSERT OR REPLACE INTO context_text (rowid, words) VALUES (?, ?)`
)

// Context is what a member has learned; there is one of each at most.
type Context struct {
	ID      string // NewID, of the member's first
	Member  string // id; not read back
	Author  string // display name
	Body    ContextBody
	Updated time.Time
}

// ContextBody is the texts of a Context.
type ContextBody struct {
	Summary  string   `json:"summary"`
	Files    []string `json:"files,omitempty"`
	Findings []string `json:"findings,omitempty"`
	Tags     []string `json:"tags,omitempty"`
}

func (b *ContextBody) text() string {
	return strings.Join(append(append(append([]string{b.Summary}, b.Files...), b.Findings...), b.Tags...), "\n")
}

// ShareContext replaces the context of c's member, which keeps its id: c.ID
// becomes that.
func (tx *Tx) ShareContext(c *Context) error {
	body, err := toJSON(c.Body)
	if err != nil {
		return err
	}
	text := c.Body.text()
	var num int64
	err = tx.one(upsertContext, []any{c.ID, c.Member, c.Author, body, strings.ToLower(text), c.Updated}, &num, &c.ID)
	if err != nil {
		return err
	}
	_, err = tx.exec(replaceContextText, num, text)
	return err
}

// Contexts calls fn with all contexts, the newest first, until it returns
// false.
func (rx *Rx) Contexts(fn func(*Context) bool) error {
	return rx.each(selectContexts, nil, func(r row) error {
		var c Context
		if err := r.scan(c.columns()...); err != nil {
			return err
		}
		if !fn(&c) {
			return errStop
		}
		return nil
	})
}

// FindContexts returns, the newest first, at most limit contexts in which the
// query stands as it is, ignoring case, or that have all its words, in any
// form. An empty query finds all.
func (rx *Rx) FindContexts(query string, limit int) ([]*Context, error) {
	var all []*Context
	err := rx.each(selectContextFound, []any{strings.ToLower(query), allOf(searchWords(query)), limit}, func(r row) error {
		var c Context
		all = append(all, &c)
		return r.scan(c.columns()...)
	})
	return all, err
}

func (c *Context) columns() []any { return []any{&c.ID, &c.Author, fromJSON{&c.Body}, &c.Updated} }
