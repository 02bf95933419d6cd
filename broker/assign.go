package broker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// An assigned is whom a task is for.
type assigned struct {
	shown  string // name, key, @group or *
	target wire.Target
	told   bool // gets a message
}

// key is the key of the one peer it is, "" otherwise.
func (a assigned) key() string {
	if a.shown == "" || a.target.Kind != wire.ToKey {
		return ""
	}
	return a.target.Name
}

// assignee finds out whom a text means, as clients resolve the targets of
// messages. To an older client, which knows nothing of this, any text will do.
func (m *mesh) assignee(tx *store.Tx, s *session, text string) (assigned, error) {
	if text == "" {
		return assigned{}, nil
	}
	who, err := m.resolveAssignee(tx, s, strings.TrimSpace(text))
	if _, refusal := errors.AsType[*wire.Error](err); refusal && s.hello.Proto < wire.Proto {
		return assigned{shown: text, target: wire.Target{Kind: wire.ToGroup}}, nil
	}
	who.told = who.target.Name != s.key
	return who, err
}

func (m *mesh) resolveAssignee(tx *store.Tx, s *session, text string) (assigned, error) {
	t, err := wire.ParseTarget(text)
	switch {
	case err == nil && t.Kind == wire.ToPrefix:
		a, prefixErr := m.byPrefix(tx, t.Name)
		if errors.Is(prefixErr, &wire.Error{Code: wire.UnknownRecipient}) {
			if who, err := m.byName(s, text); err == nil {
				return who, nil // a name may consist of hex digits
			}
		}
		return m.assignedKey(wireKey(a.Key)), prefixErr
	case err == nil && t.Kind == wire.ToKey:
		return m.assignedKey(t.Name), nil
	case err == nil:
		return assigned{shown: t.String(), target: t}, nil
	case text == "" || strings.ContainsAny(text[:1], "@#") || strings.HasPrefix(text, "tag:"):
		return assigned{}, err
	}
	return m.byName(s, text)
}

// assignedKey is the session or member with that key, by its name if it has one.
func (m *mesh) assignedKey(key string) assigned {
	m.mu.Lock()
	defer m.mu.Unlock()
	who := assigned{shown: key, target: wire.Target{Kind: wire.ToKey, Name: key}}
	if s := m.keyed[key]; s != nil {
		who.shown = s.name
	} else if mb := m.byKey[key]; mb != nil {
		who.shown = mb.name
	}
	return who
}

// byName returns the session that is called text, else the only one with text
// in its name, else the member.
func (m *mesh) byName(from *session, text string) (assigned, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	equal := func(name string) bool { return strings.EqualFold(name, text) }
	contains := func(name string) bool { return strings.Contains(strings.ToLower(name), strings.ToLower(text)) }
	var sessions, members []wire.Candidate
	for _, s := range m.visibleTo(from) {
		sessions = append(sessions, wire.Candidate{Pubkey: s.key, Name: s.name})
	}
	for _, mb := range m.members {
		members = append(members, wire.Candidate{Pubkey: mb.key, Name: mb.name})
	}
	part := called(sessions, contains)
	several := part
	if len(part) > 1 {
		part = nil
	}
	for _, found := range [][]wire.Candidate{called(sessions, equal), part, called(members, equal), several} {
		switch {
		case len(found) == 1:
			return assigned{shown: found[0].Name, target: wire.Target{Kind: wire.ToKey, Name: found[0].Pubkey}}, nil
		case len(found) > 1:
			return assigned{}, &wire.Error{Code: wire.Ambiguous, Candidates: found[:min(len(found), wire.MaxCandidates)],
				Message: fmt.Sprintf("%q fits %d peers; assign the task to the key of one, or to a group", wire.Shorten(text, 60), len(found))}
		}
	}
	return assigned{}, wire.Errorf(wire.UnknownRecipient, "nobody called %q is in this mesh: list the peers, or create the task without assignee", wire.Shorten(text, 60))
}

// called returns those of all whose name is right, each once.
func called(all []wire.Candidate, right func(string) bool) []wire.Candidate {
	var found []wire.Candidate
	for _, c := range all {
		if right(c.Name) && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found
}

// assign sends whom a task is for a message about it, from s. The broker has
// no key to seal it with, so it travels as older clients send to a group:
// readable on the way, and shown as unauthenticated.
func (m *mesh) assign(tx *store.Tx, s *session, t *store.Task, target wire.Target, res *wire.TaskCreated) error {
	plan, err := m.resolve(tx, origin{addr: s.addr, member: s.member}, target, nil)
	if err != nil {
		return err
	}
	send := wire.Send{TargetSpec: plan.target, Priority: messagePriority(t.Priority), Ciphertext: base64.StdEncoding.EncodeToString([]byte(assignment(t, target)))}
	now := time.Now()
	msg := &store.Message{
		Sender: s.addr, SenderMember: s.member.id, SenderName: s.name, Target: plan.target, Priority: store.Priority(send.Priority.Rank()),
		Digest: digestOf(&send), Created: now, Expires: now.Add(m.ttl()), Ciphertext: send.Ciphertext,
	}
	if err := m.addMessage(tx, msg, plan.addrs); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.distribute(msg, s.key, plan, func(counts *wire.OutcomeCounts) {
			var ack wire.Ack
			setOutcome(&ack, counts, plan.recipients())
			res.Message = &wire.TaskMessage{MessageID: msg.ID, Outcome: ack.Outcome, Recipients: counts, Unknown: plan.unknown}
		})
	})
	return nil
}

// messagePriority is how a task's message may interrupt.
func messagePriority(task string) wire.Priority {
	switch task {
	case "urgent":
		return wire.Now
	case "low":
		return wire.Low
	}
	return wire.Next
}

// assignment is the text of the message.
func assignment(t *store.Task, target wire.Target) string {
	whom := "to you"
	if target.Multicast() {
		whom = "to " + target.String() + "; who claims it first has it"
	}
	text := fmt.Sprintf("Task assigned %s: %s\nid %s, priority %s", whom, t.Title, t.ID, t.Priority)
	if len(t.Tags) > 0 {
		text += ", tags " + strings.Join(t.Tags, ", ")
	}
	return text + "\nclaim_task takes it, complete_task reports the result (or `claudemesh task claim`, `task complete`)."
}
