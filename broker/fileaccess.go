package broker

import (
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// noSuchFile is the same for a file that never was, was deleted or has expired.
func noSuchFile(id string) error {
	return wire.Errorf(wire.NotFound, "there is no file %q in this mesh: it may have been deleted or have expired", wire.Shorten(id, 40))
}

// liveFile returns a file whose time is not over.
func liveFile(rx *store.Rx, id string, now time.Time) (*store.File, error) {
	f, err := rx.File(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && over(f, now) {
		return nil, noSuchFile(id)
	}
	return f, err
}

func over(f *store.File, now time.Time) bool { return !f.Expires.IsZero() && !now.Before(f.Expires) }

// A reader is who asks for a file: a session, with what decides what it may
// have.
type reader struct {
	session *session
	groups  []wire.Group
}

// readerOf collects what decides what s may fetch. A command acts for its
// member, and is in the groups of its sessions.
func (m *mesh) readerOf(s *session) reader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return reader{s, s.actingGroups()}
}

// actingGroups are the groups that s acts in: its own, and, of a command, those
// of its member's sessions too. It is called with the mutex of the mesh held.
func (s *session) actingGroups() []wire.Group {
	if !s.hello.Transient {
		return s.groups
	}
	groups := append(append(s.groups[:len(s.groups):len(s.groups)], s.member.groups...), s.member.lastGroups...)
	for _, o := range s.member.live {
		groups = append(groups, o.groups...)
	}
	return groups
}

// owns reports whether r's member shared the file.
func (r reader) owns(rx *store.Rx, f *store.File) (bool, error) {
	if f.Uploader != "" || f.Owner == "" {
		return f.Uploader == r.session.member.id, nil
	}
	return keyOf(rx, f.Owner, r.session.member)
}

// keyOf reports whether key is one of mb's: its own or a session's.
func keyOf(rx *store.Rx, key string, mb *member) (bool, error) {
	if key == mb.key {
		return true, nil
	}
	a, err := rx.Address(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return a.MemberID == mb.id, err
}

// A fileKey is the key of a sealed file and whose key opens it.
type fileKey struct{ sealed, to string }

// mayFetch reports whether r may have the bytes of a file, and the key that
// opens them, if it is sealed. Whoever shared it always may. A sealed file is
// for whoever a key was sealed to, whatever its target.
func (r reader) mayFetch(rx *store.Rx, f *store.File) (key fileKey, may bool, err error) {
	own, err := r.owns(rx, f)
	if err != nil {
		return key, false, err
	}
	if f.Encrypted {
		key, err = r.keyTo(rx, f, own)
		return key, own || key.sealed != "", err
	}
	if own || f.Target == "" {
		return key, true, nil
	}
	t, err := wire.ParseTarget(f.Target)
	if err != nil {
		return key, false, nil // kept as it came, and nobody's
	}
	switch t.Kind {
	case wire.ToAll:
		may = true
	case wire.ToGroup:
		may = wire.AnyMatches(r.groups, t.Name)
	case wire.ToKey:
		may, err = keyOf(rx, t.Name, r.session.member)
	}
	return key, may, err
}

// keyTo finds the key of a sealed file that r can open: sealed to its
// session, to its member or, of its own file, to the key it was shared under.
func (r reader) keyTo(rx *store.Rx, f *store.File, own bool) (fileKey, error) {
	keys := []string{r.session.key, r.session.member.key}
	if own && f.Owner != "" {
		keys = append(keys, f.Owner)
	}
	for _, to := range keys {
		sealed, err := rx.FileKey(f.ID, to)
		if !errors.Is(err, store.ErrNotFound) {
			return fileKey{sealed, to}, err
		}
	}
	return fileKey{}, nil
}
