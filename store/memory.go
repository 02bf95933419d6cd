package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	memoryColumns = `id, content, tags, author, created`
	insertMemory  = `INSERT INTO memory (` + memoryColumns + `) VALUES (?, ?, ?, ?, ?)`
	deleteMemory  = `DELETE FROM memory WHERE num = ?`
	selectMemory  = `SELECT ` + memoryColumns + ` FROM memory WHERE num = ?`

	selectMemoryPrefix  = `SELECT num, id FROM memory WHERE id >= ? AND id < ? ORDER BY id LIMIT 2`
	selectMemoryLast    = `SELECT created FROM memory ORDER BY num DESC LIMIT 1`
	selectMemoryFrom    = `SELECT num FROM memory WHERE created >= ? ORDER BY created, num LIMIT 1`
	selectMemoryUntil   = `SELECT num FROM memory WHERE created <= ? ORDER BY created DESC, num DESC LIMIT 1`
	selectMemorySnippet = `SELECT snippet(memory_text, 0, '', '', '…', 32) FROM memory_text WHERE memory_text MATCH ? AND rowid = ?`

	insertMemoryText = `INSERT INTO memory_text (rowid, content, tags, author) VALUES (?, ?, ?, ?)`
	deleteMemoryText = `INSERT INTO memory_text (memory_text, rowid, content, tags, author) VALUES ('delete', ?, ?, ?, ?)`

	// What the full text finds of a tag or an author is held against them here.
	memoryFilter = `(?4 = '' OR instr(char(10) || fold(m.tags) || char(10), char(10) || ?4 || char(10)))
		AND (?5 = '' OR fold(m.author) = ?5)`
	// To weigh a match costs a microsecond or two, so of a word that is
	// everywhere only the newest matches are weighed.
	selectMemoryBest = `SELECT num FROM (
		SELECT m.num AS num, bm25(memory_text, 1.0, 0.4, 0.0) AS weight
		FROM memory_text JOIN memory m ON m.num = memory_text.rowid
		WHERE memory_text MATCH ?1 AND memory_text.rowid BETWEEN ?2 AND ?3 AND ` + memoryFilter + `
		ORDER BY memory_text.rowid DESC LIMIT 500) ORDER BY weight, num DESC LIMIT ?6`
	selectMemoryFound = `SELECT m.num FROM memory_text JOIN memory m ON m.num = memory_text.rowid
		WHERE memory_text MATCH ?1 AND memory_text.rowid BETWEEN ?2 AND ?3 AND ` + memoryFilter + `
		ORDER BY memory_text.rowid DESC LIMIT ?6`
	selectMemoryNewest = `SELECT m.num FROM memory m WHERE ?1 = '' AND m.num BETWEEN ?2 AND ?3 AND ` + memoryFilter + `
		ORDER BY m.num DESC LIMIT ?6`

	tallyMemories = "memories"
	snippetOver   = 400 // bytes of a content that gets a snippet
)

// Memory is a note of a member.
type Memory struct {
	ID      string // NewID
	Content string
	Tags    []string // without line breaks
	Author  string   // display name
	Created time.Time
	Snippet string // of a long content that was found by its words
}

// MemoryQuery says which memories are wanted. Of its fields but Limit, those
// that are zero do not matter; if all are, or if Words has nothing but stop
// words, none is found.
type MemoryQuery struct {
	Words         string // all must be in the content or the tags, in any form
	Tag, Author   string // ignoring case, and how accents are encoded
	After, Before time.Time
	Limit         int
}

// AddMemory keeps m. Created becomes no earlier than that of the memory before
// it, whatever the clock says.
func (tx *Tx) AddMemory(m *Memory) error {
	var last time.Time
	if err := tx.one(selectMemoryLast, nil, &last); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if m.Created.Before(last) {
		m.Created = last
	}
	tags := strings.Join(m.Tags, "\n")
	num, err := tx.insert(insertMemory, m.ID, m.Content, tags, m.Author, m.Created)
	if err != nil {
		return err
	}
	if _, err := tx.exec(insertMemoryText, num, m.Content, tags, m.Author); err != nil {
		return err
	}
	return tx.addTally(tallyMemories, 1)
}

// Memories returns how many memories there are.
func (rx *Rx) Memories() (int, error) { return rx.tally(tallyMemories) }

// ForgetMemory removes the memory whose id begins with prefix and returns the
// id: ErrNotFound if there is none, ErrConflict if there are several.
func (tx *Tx) ForgetMemory(prefix string) (id string, err error) {
	var nums []int64
	after := prefix + "\x7f" // behind every id that begins so
	err = tx.each(selectMemoryPrefix, []any{prefix, after}, func(r row) error {
		var num int64
		err := r.scan(&num, &id)
		nums = append(nums, num)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case len(nums) == 0:
		return "", fmt.Errorf("store: memory %s: %w", prefix, ErrNotFound)
	case len(nums) > 1:
		return "", fmt.Errorf("store: memory %s: %w", prefix, ErrConflict)
	}
	var m Memory
	var tags string
	if err := tx.one(selectMemory, []any{nums[0]}, &m.ID, &m.Content, &tags, &m.Author, &m.Created); err != nil {
		return "", err
	}
	if _, err := tx.exec(deleteMemoryText, nums[0], m.Content, tags, m.Author); err != nil {
		return "", err
	}
	if _, err := tx.exec(deleteMemory, nums[0]); err != nil {
		return "", err
	}
	return m.ID, tx.addTally(tallyMemories, -1)
}

// Recall returns the memories that q asks for: with words the best first, of
// the newest 500 that match; else the newest first.
func (rx *Rx) Recall(q MemoryQuery) ([]*Memory, error) {
	words := searchWords(q.Words)
	if len(words) == 0 && (strings.TrimSpace(q.Words) != "" || q.Tag == "" && q.Author == "" && q.After.IsZero() && q.Before.IsZero()) {
		return nil, nil
	}
	low, high, err := rx.memoryRange(q.After, q.Before)
	if err != nil || low > high {
		return nil, err
	}
	match, query := memoryMatch(words, q.Tag, q.Author), selectMemoryBest
	switch {
	case match == "":
		query = selectMemoryNewest
	case len(words) == 0:
		query = selectMemoryFound
	}
	var nums []int64
	err = rx.each(query, []any{match, low, high, fold(q.Tag), fold(q.Author), q.Limit}, func(r row) error {
		var num int64
		err := r.scan(&num)
		nums = append(nums, num)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rx.memories(nums, words)
}

// memoryMatch is the FTS5 expression of a search, empty for one without words.
func memoryMatch(words []string, tag, author string) string {
	parts := []string{phrase("tags", tag), phrase("author", author)}
	if len(words) > 0 {
		parts = append(parts, "{content tags} : ("+allOf(words)+")")
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " AND ")
}

// memoryRange returns the nums of what was remembered between two times.
func (rx *Rx) memoryRange(after, before time.Time) (low, high int64, err error) {
	low, high = 0, math.MaxInt64
	for _, b := range []struct {
		at    time.Time
		query string
		to    *int64
		none  int64
	}{{after, selectMemoryFrom, &low, math.MaxInt64}, {before, selectMemoryUntil, &high, -1}} {
		if b.at.IsZero() {
			continue
		}
		err := rx.one(b.query, []any{b.at}, b.to)
		if errors.Is(err, ErrNotFound) {
			*b.to = b.none
		} else if err != nil {
			return 0, 0, err
		}
	}
	return low, high, nil
}

// memories reads those with the given nums, with snippets around words.
func (rx *Rx) memories(nums []int64, words []string) ([]*Memory, error) {
	var all []*Memory
	for _, num := range nums {
		var m Memory
		var tags string
		if err := rx.one(selectMemory, []any{num}, &m.ID, &m.Content, &tags, &m.Author, &m.Created); err != nil {
			return nil, err
		}
		if tags != "" {
			m.Tags = strings.Split(tags, "\n")
		}
		if len(words) > 0 && len(m.Content) > snippetOver {
			if err := rx.one(selectMemorySnippet, []any{allOf(words), num}, &m.Snippet); err != nil {
				return nil, err
			}
		}
		all = append(all, &m)
	}
	return all, nil
}
