package broker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) shareSkill(c *call, req wire.ShareSkill) (wire.SkillAck, error) {
	if err := checkSkill(&req); err != nil {
		return wire.SkillAck{}, err
	}
	row := skillRow(c.session, &req)
	err := m.publishSkill(c, row, audited{"skill": row.Name, "instructionsSha256": sumOf([]byte(row.Instructions))})
	return wire.SkillAck{Name: req.Name, Action: wire.SkillWasShared}, err
}

// skillRow makes the row of a skill that was checked.
func skillRow(s *session, req *wire.ShareSkill) *store.Skill {
	now := time.Now()
	row := &store.Skill{
		Name: req.Name, Description: req.Description, Tags: req.Tags, Author: s.name, MemberID: s.member.id, PubKey: s.member.key,
		Created: now, Updated: now, Instructions: req.Instructions,
	}
	if row.Tags == nil {
		row.Tags = []string{}
	}
	if req.Manifest != nil {
		row.Manifest, _ = json.Marshal(req.Manifest) // strings and a flag always encode
	}
	return row
}

// publishSkill records a skill, in the place of the one of its name if that is
// the session's to replace, and tells the others.
func (m *mesh) publishSkill(c *call, row *store.Skill, trail audited) error {
	s := c.session
	return m.contribute(c, func(tx *store.Tx) error {
		old, err := tx.Skill(row.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case !m.owns(s, old.MemberID):
			return wire.Errorf(wire.Forbidden, "the skill %q is %s's: only they and admins may replace it; share yours under another name", old.Name, old.Author)
		}
		err = tx.PutSkill(row, wire.MaxSkills)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "the mesh has %d skills: remove one that is not needed any more", wire.MaxSkills)
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.broadcast(s, wire.EventSkillShared, wire.SkillShared{Name: row.Name, Description: row.Description, Author: s.name})
		})
		if err != nil {
			return err
		}
		return m.audit(tx, s.actor(), wire.AuditSkillShared, trail)
	})
}

func checkSkill(req *wire.ShareSkill) error {
	if err := checkName("skill", req.Name, wire.MaxSkillName); err != nil {
		return err
	}
	if strings.TrimSpace(req.Instructions) == "" {
		return wire.Errorf(wire.BadRequest, "the skill has no instructions")
	}
	if len(req.Instructions) > wire.MaxInstructionBytes {
		return wire.Errorf(wire.TooLarge, "the instructions have %d bytes, more than %d: share what they need beside as a file", len(req.Instructions), wire.MaxInstructionBytes)
	}
	if err := fits("description", req.Description, wire.MaxSkillText); err != nil {
		return err
	}
	if err := checkWords("tags", req.Tags, wire.MaxSkillTags); err != nil {
		return err
	}
	if req.Manifest == nil {
		return nil
	}
	return checkManifest(req.Manifest)
}

func checkManifest(f *wire.SkillManifest) error {
	if f.Context != "" && f.Context != wire.SkillInline && f.Context != wire.SkillFork {
		return wire.Errorf(wire.BadRequest, "context must be %s or %s, not %q", wire.SkillInline, wire.SkillFork, wire.Shorten(f.Context, 40))
	}
	for _, t := range []struct {
		field, text string
		max         int
	}{
		{"when_to_use", f.WhenToUse, wire.MaxSkillText}, {"description", f.Description, wire.MaxSkillText},
		{"argument_hint", f.ArgumentHint, wire.MaxSkillName}, {"model", f.Model, wire.MaxSkillName}, {"agent", f.Agent, wire.MaxSkillName},
	} {
		if err := fits(t.field, t.text, t.max); err != nil {
			return err
		}
	}
	return checkWords("allowed_tools", f.AllowedTools, wire.MaxSkillTools)
}

func (m *mesh) getSkill(_ *call, req wire.GetSkill) (wire.SkillData, error) {
	var row *store.Skill
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		row, err = rx.Skill(req.Name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return wire.SkillData{}, nil
	}
	if err != nil {
		return wire.SkillData{}, err
	}
	b := brief(row)
	res := wire.SkillData{Skill: &wire.Skill{
		Name: b.Name, Description: b.Description, Instructions: row.Instructions, Tags: b.Tags, Author: b.Author, Manifest: b.Manifest,
		CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt, AuthorPubkey: b.AuthorPubkey, SourceType: wire.SourceType(row.SourceType), Commit: row.Revision,
	}}
	if len(row.Files) > 0 {
		json.Unmarshal(row.Files, &res.Skill.Files) // written by deployBundle
	}
	return res, nil
}

// brief describes a skill without its text.
func brief(row *store.Skill) wire.SkillBrief {
	b := wire.SkillBrief{
		Name: row.Name, Description: row.Description, Tags: row.Tags, Author: row.Author, CreatedAt: wire.Time(row.Created),
		UpdatedAt: wire.Time(row.Updated), AuthorPubkey: row.PubKey,
	}
	if len(row.Manifest) > 0 {
		b.Manifest = new(wire.SkillManifest)
		json.Unmarshal(row.Manifest, b.Manifest) // written by shareSkill
	}
	return b
}

// skillListBytes is how large the list of skills in an answer may be.
const skillListBytes = 1 << 20

func (m *mesh) listSkills(_ *call, req wire.ListSkills) (wire.SkillList, error) {
	if err := fits("query", req.Query, wire.MaxSkillText); err != nil {
		return wire.SkillList{}, err
	}
	res := wire.SkillList{Skills: []wire.SkillBrief{}}
	query, size := strings.ToLower(req.Query), 0
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		return rx.EachSkill(req.After, func(row *store.Skill) bool {
			if !found(row, query) {
				return true
			}
			b := brief(row)
			p, _ := json.Marshal(b) // as it is written in the answer
			if size += len(p) + 1; size > skillListBytes && len(res.Skills) > 0 {
				res.More = true
				return false
			}
			res.Skills = append(res.Skills, b)
			return true
		})
	})
	return res, err
}

// found reports whether a skill has query, in lower case, in its name, its
// description or a tag.
func found(row *store.Skill, query string) bool {
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), query) }
	if has(row.Name) || has(row.Description) {
		return true
	}
	for _, tag := range row.Tags {
		if has(tag) {
			return true
		}
	}
	return false
}

func (m *mesh) removeSkill(c *call, req wire.RemoveSkill) (wire.SkillAck, error) {
	res := wire.SkillAck{Name: req.Name, Action: wire.SkillWasRemoved}
	err := m.contribute(c, func(tx *store.Tx) error {
		row, err := tx.Skill(req.Name)
		if err != nil {
			return err
		}
		if !m.owns(c.session, row.MemberID) {
			return wire.Errorf(wire.Forbidden, "the skill %q is %s's: only they and admins may remove it", row.Name, row.Author)
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.broadcast(c.session, wire.EventSkillRemoved, wire.SkillRemoved{Name: req.Name, By: c.session.name})
		})
		if err := tx.DeleteSkill(req.Name); err != nil {
			return err
		}
		return m.audit(tx, c.session.actor(), wire.AuditSkillRemoved, audited{"skill": req.Name})
	})
	if errors.Is(err, store.ErrNotFound) {
		res.Action, err = wire.SkillNotFound, nil
	}
	return res, err
}

func skillInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) error {
	return rx.EachSkill("", func(s *store.Skill) bool {
		res.Skills = append(res.Skills, s.Name)
		return true
	})
}
