package broker

import (
	"context"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"claudemesh/store"
	"claudemesh/wire"
)

// contribute has fn change what the members of the mesh share, for c. Whoever
// is being revoked changes nothing any more.
func (m *mesh) contribute(c *call, fn func(*store.Tx) error) error {
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		if c.session.member.leaving {
			return refused(wire.Unauthorized)
		}
		return fn(tx)
	})
}

// author is the name that what s shares carries: that under which others see
// it, not the one its member enrolled with.
func (s *session) author() string {
	if s.name == "" {
		return "unknown"
	}
	return s.name
}

// tellAll sends a frame to every connection but from's, those of commands and
// of hidden sessions too.
func (m *mesh) tellAll(from *session, f wire.Frame) {
	p, err := wire.Append(nil, "", f)
	if err != nil {
		m.log.Error("encode frame", "type", f.FrameType(), "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.conn != nil && s != from {
			s.conn.out.push(frame{kind: ephemeral, data: p})
		}
	}
	for s := range m.transients {
		if s.conn != nil && s != from {
			s.conn.out.push(frame{kind: ephemeral, data: p})
		}
	}
}

// jsonSize is how many bytes v takes on the wire.
func jsonSize(v any) int {
	p, _ := json.Marshal(v) // of texts and lists of them, which always encode
	return len(p)
}

// checkText refuses a text that must be there and is empty, or that has more
// than n characters.
func checkText(field, s string, n int) error {
	if strings.TrimSpace(s) == "" {
		return wire.Errorf(wire.BadRequest, "%s is missing: it must not be empty", field)
	}
	return fits(field, s, n)
}

// fits refuses a text of more than n characters.
func fits(field, s string, n int) error {
	if got := utf8.RuneCountInString(s); got > n {
		return wire.Errorf(wire.TooLarge, "%s has %d characters, and %d are the most: shorten it", field, got, n)
	}
	return nil
}

// checkTags refuses tags that nothing could be found by.
func checkTags(tags []string) error {
	if len(tags) > wire.MaxTags {
		return wire.Errorf(wire.TooLarge, "tags has %d entries, and %d are the most: leave some out", len(tags), wire.MaxTags)
	}
	for _, tag := range tags {
		if err := checkText("a tag", tag, wire.MaxTag); err != nil {
			return err
		}
		if strings.ContainsFunc(tag, unicode.IsControl) {
			return wire.Errorf(wire.BadRequest, "the tag %q has a control character: leave it out", tag)
		}
	}
	return nil
}
