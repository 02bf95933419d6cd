package store

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestSkills(t *testing.T) {
	db := open(t)
	s := &Skill{Name: "b", Description: "d", Tags: []string{"t", "u"}, Author: "A", MemberID: "m", PubKey: "k",
		Manifest: json.RawMessage(`{"model":"x"}`), Created: epoch, Updated: epoch, Instructions: "do",
		SourceType: "git", Revision: "c0ffee", Files: json.RawMessage(`[{"path":"a","size":1}]`)}
	mustWrite(t, db, func(tx *Tx) error { return tx.PutSkill(s, 2) })
	mustRead(t, db, func(rx *Rx) error {
		got, err := rx.Skill("b")
		equal(t, got, s)
		_, notErr := rx.Skill("c")
		wants(t, "no such skill", notErr, ErrNotFound)
		return err
	})
	later := epoch.Add(time.Hour)
	*s = Skill{Name: "b", Tags: []string{}, Author: "B", MemberID: "n", PubKey: "l", Created: later, Updated: later, Instructions: "undo"}
	mustWrite(t, db, func(tx *Tx) error { return tx.PutSkill(s, 2) })
	s.Created = epoch
	mustRead(t, db, func(rx *Rx) error {
		got, err := rx.Skill("b")
		equal(t, got, s)
		return err
	})
	wants(t, "one too many", db.Write(t.Context(), func(tx *Tx) error {
		for _, name := range []string{"a", "c"} {
			if err := tx.PutSkill(&Skill{Name: name, Tags: []string{}, Created: epoch, Updated: epoch}, 2); err != nil {
				return err
			}
		}
		return nil
	}), ErrLimit)
	mustWrite(t, db, func(tx *Tx) error {
		for _, name := range []string{"a", "c"} {
			if err := tx.PutSkill(&Skill{Name: name, Tags: []string{}, Created: epoch, Updated: epoch}, 3); err != nil {
				return err
			}
		}
		return nil
	})
	list := func(after string, n int) string {
		var names []string
		mustRead(t, db, func(rx *Rx) error {
			return rx.EachSkill(after, func(s *Skill) bool {
				names = append(names, s.Name)
				return len(names) < n
			})
		})
		return fmt.Sprint(names)
	}
	if all, some, rest := list("", 9), list("", 2), list("a", 9); all != "[a b c]" || some != "[a b]" || rest != "[b c]" {
		t.Error(all, some, rest)
	}
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "delete nothing", tx.DeleteSkill("d"), ErrNotFound)
		return tx.DeleteSkill("a")
	})
	if all := list("", 9); all != "[b c]" {
		t.Error(all)
	}
}
