package store

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	skillColumns = `name, description, tags, author, member, pubkey, manifest, created, updated`
	upsertSkill  = `INSERT INTO skill (` + skillColumns + `, instructions, source_type, revision, files) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, tags = excluded.tags, author = excluded.author,
			member = excluded.member, pubkey = excluded.pubkey, manifest = excluded.manifest, updated = excluded.updated,
			instructions = excluded.instructions, source_type = excluded.source_type, revision = excluded.revision, files = excluded.files`
	selectSkill  = `SELECT ` + skillColumns + `, instructions, source_type, revision, files FROM skill WHERE name = ?`
	selectSkills = `SELECT ` + skillColumns + ` FROM skill WHERE name > ? ORDER BY name`
	countSkills  = `SELECT count(*) FROM skill`
	deleteSkill  = `DELETE FROM skill WHERE name = ?`
)

// Skill is the record of a skill.
type Skill struct {
	Name        string
	Description string
	Tags        []string
	Author      string // display name
	MemberID    string // who shared it last
	PubKey      string // of that member
	Manifest    json.RawMessage
	Created     time.Time // first
	Updated     time.Time

	// Left out of lists.
	Instructions string
	SourceType   string          // of what was deployed as a bundle
	Revision     string          // the commit of a git source
	Files        json.RawMessage // of the bundle
}

func (s *Skill) columns() []any {
	return []any{&s.Name, &s.Description, fromJSON{&s.Tags}, &s.Author, &s.MemberID, &s.PubKey, fromJSON{&s.Manifest}, &s.Created, &s.Updated}
}

// PutSkill records s, or all of it but Created in the place of the skill of its
// name. ErrLimit if it is a new one and there are limit others.
func (tx *Tx) PutSkill(s *Skill, limit int) error {
	tags, err := toJSON(s.Tags)
	if err != nil {
		return err
	}
	manifest, err := rawText(s.Manifest)
	if err != nil {
		return err
	}
	files, err := rawText(s.Files)
	if err != nil {
		return err
	}
	_, err = tx.exec(upsertSkill, s.Name, s.Description, tags, s.Author, s.MemberID, s.PubKey, null(manifest), s.Created, s.Updated, s.Instructions,
		null(s.SourceType), null(s.Revision), null(files))
	if err != nil {
		return err
	}
	var n int
	if err := tx.one(countSkills, nil, &n); err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("store: %d skills: %w", n, ErrLimit)
	}
	return nil
}

// Skill returns the skill of that name: ErrNotFound if there is none.
func (rx *Rx) Skill(name string) (*Skill, error) {
	var s Skill
	if err := rx.one(selectSkill, []any{name}, append(s.columns(), &s.Instructions, &s.SourceType, &s.Revision, fromJSON{&s.Files})...); err != nil {
		return nil, fmt.Errorf("store: skill: %w", err)
	}
	return &s, nil
}

// EachSkill calls fn for the skills with a name after that one, ascending and
// without their instructions, until it returns false.
func (rx *Rx) EachSkill(after string, fn func(*Skill) bool) error {
	return rx.each(selectSkills, []any{after}, func(r row) error {
		var s Skill
		if err := r.scan(s.columns()...); err != nil {
			return err
		}
		if !fn(&s) {
			return errStop
		}
		return nil
	})
}

// DeleteSkill removes a skill: ErrNotFound if there is none.
func (tx *Tx) DeleteSkill(name string) error { return tx.change("skill", deleteSkill, name) }
