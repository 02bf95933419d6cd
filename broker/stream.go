package broker

import (
	"context"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// pageBytes is how many bytes of entries one answer carries: however they are
// escaped, they fit a frame.
const pageBytes = 256 << 10

func (m *mesh) createStream(c *call, req wire.CreateStream) (wire.StreamCreated, error) {
	if err := checkName("stream", req.Name, wire.MaxStreamName); err != nil {
		return wire.StreamCreated{}, err
	}
	keep := wire.KeepEntries
	if req.Keep != nil {
		keep = *req.Keep
	}
	if keep < 0 || keep > wire.MaxKeep {
		return wire.StreamCreated{}, wire.Errorf(wire.BadRequest, "keep must be 0 to %d, not %d", wire.MaxKeep, keep)
	}
	var res wire.StreamCreated
	err := m.contribute(c, func(tx *store.Tx) error {
		s, made, err := m.ensureStream(tx, c.session, req.Name, keep)
		if err == nil {
			res = wire.StreamCreated{ID: s.ID, Name: s.Name, Keep: s.Keep, Existed: !made}
		}
		return err
	})
	return res, err
}

// ensureStream returns the stream of that name, which it makes if it must.
func (m *mesh) ensureStream(tx *store.Tx, by *session, name string, keep int) (s *store.Stream, made bool, err error) {
	s, err = tx.Stream(name)
	if !errors.Is(err, store.ErrNotFound) {
		return s, false, err
	}
	s = &store.Stream{ID: store.NewID(), Name: name, Keep: keep, CreatedBy: by.name, MemberID: by.member.id, Created: time.Now()}
	err = tx.CreateStream(s, wire.MaxStreams)
	if errors.Is(err, store.ErrLimit) {
		return nil, false, wire.Errorf(wire.Limit, "the mesh has %d streams: delete one that is not needed any more", wire.MaxStreams)
	}
	if err == nil {
		err = m.audit(tx, by.actor(), wire.AuditStreamCreated, audited{"stream": name})
	}
	return s, true, err
}

// subscribe answers before it holds any entry that comes after its answer:
// both leave from the writer of the store, in the order of the commits.
func (m *mesh) subscribe(c *call, req wire.Subscribe, answer func(wire.Subscribed)) (func(*store.Tx) error, error) {
	if err := checkName("stream", req.Stream, wire.MaxStreamName); err != nil {
		return nil, err
	}
	s := c.session
	return func(tx *store.Tx) error {
		if err := s.mayWrite(); err != nil {
			return err
		}
		if s.durable() {
			err := tx.Subscribe(s.addr, req.Stream, wire.MaxSubscriptions)
			if errors.Is(err, store.ErrLimit) {
				return tooManySubscriptions()
			}
			if err != nil {
				return err
			}
		}
		res, err := kept(tx, req)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.subscribed(s, res, answer) })
		return nil
	}, nil
}

func tooManySubscriptions() error {
	return wire.Errorf(wire.Limit, "a session subscribes to at most %d streams: unsubscribe from one first", wire.MaxSubscriptions)
}

// kept answers a subscription with what the stream keeps.
func kept(tx *store.Tx, req wire.Subscribe) (wire.Subscribed, error) {
	res := wire.Subscribed{Stream: req.Stream}
	st, err := tx.Stream(req.Stream)
	if errors.Is(err, store.ErrNotFound) {
		return res, nil
	}
	if err != nil {
		return res, err
	}
	res.Last = st.Last
	if st.Kept > 0 {
		res.First = st.First()
	}
	if req.From == nil {
		return res, nil
	}
	entries, more, err := tx.Entries(st, *req.From, pageBytes)
	for _, e := range entries {
		res.Entries = append(res.Entries, wire.StreamEntry{Seq: e.Seq, Data: e.Data, PublishedBy: publisher(e.Publisher), PublishedAt: wire.Time(e.Published)})
	}
	res.More = more
	return res, err
}

// subscribed makes the newest value of a session one of a stream's audience
// and answers it.
func (m *mesh) subscribed(s *session, res wire.Subscribed, answer func(wire.Subscribed)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.durable() && m.sessions[s.addr] != nil {
		m.listen(m.sessions[s.addr], res.Stream)
	} else if m.transients[s] || m.sessions[s.addr] == s && s.conn != nil {
		m.listen(s, res.Stream)
	}
	answer(res)
}

func (m *mesh) unsubscribe(c *call, req wire.Unsubscribe) error {
	if err := checkName("stream", req.Stream, wire.MaxStreamName); err != nil {
		return err
	}
	s := c.session
	return m.contribute(c, func(tx *store.Tx) error {
		if s.durable() {
			if err := tx.Unsubscribe(s.addr, req.Stream); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if now := m.sessions[s.addr]; now != nil && s.durable() {
				s = now
			}
			m.deafen(s, req.Stream)
		})
		return nil
	})
}

// publish adds an entry. Like send it does not hold the reader.
func (m *mesh) publish(c *call, req wire.Publish) error {
	if err := checkName("stream", req.Stream, wire.MaxStreamName); err != nil {
		return err
	}
	if len(req.Data) == 0 {
		return wire.Errorf(wire.BadRequest, "field %q is missing: any JSON will do, null too", "data")
	}
	if len(req.Data) > wire.MaxEntryBytes {
		return wire.Errorf(wire.TooLarge, "data has %d bytes, more than %d: share a file and publish its id", len(req.Data), wire.MaxEntryBytes)
	}
	return m.db.Enqueue(context.Background(), func(tx *store.Tx) error {
		if err := c.session.mayWrite(); err != nil {
			return err
		}
		st, _, err := m.ensureStream(tx, c.session, req.Stream, wire.KeepEntries)
		if err != nil {
			return err
		}
		e := &store.Entry{Published: time.Now(), Publisher: c.session.name, Data: req.Data}
		if err := tx.AddEntry(st, e, wire.MaxStreamBytes); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			n := m.published(c.session, req.Stream, e)
			if c.head.ReqID != "" {
				c.acknowledge(&wire.Ack{ID: c.head.ReqID, Seq: e.Seq, Recipients: &wire.OutcomeCounts{Sent: n}})
			}
		})
		return nil
	}, func(err error) {
		if err != nil {
			c.fail(c.head, nil, c.srv.report(c.head, err))
		}
	})
}

// published hands an entry to the audience of its stream and counts them.
func (m *mesh) published(by *session, stream string, e *store.Entry) (n int) {
	at := wire.Time(e.Published)
	data, err := wire.Append(nil, "", wire.StreamData{Stream: stream, Data: e.Data, PublishedBy: publisher(e.Publisher), Seq: e.Seq, PublishedAt: &at})
	if err != nil {
		m.log.Error("encode stream_data", "err", err)
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.audience[stream] {
		if s.conn != nil && !s.is(by) && s.conn.out.push(frame{kind: streamed, data: data}) {
			n++
		}
	}
	m.srv.metrics.streamed.Add(float64(n))
	return n
}

// is reports whether o is the same session, a command that runs in it included.
// Commands outside of sessions are each their own.
func (s *session) is(o *session) bool { return s == o || s.addr == o.addr && s.addr != s.member.addr }

// publisher is what others are told of who published.
func publisher(name string) string {
	if name == "" {
		return "peer"
	}
	return name
}

func (m *mesh) listStreams(c *call, _ wire.ListStreams) (wire.StreamList, error) {
	var rows []*store.Stream
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		rows, err = rx.Streams()
		return err
	})
	if err != nil {
		return wire.StreamList{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.StreamList{Streams: make([]wire.Stream, 0, len(rows))}
	for _, r := range rows {
		res.Streams = append(res.Streams, wire.Stream{
			ID: r.ID, Name: r.Name, CreatedBy: publisher(r.CreatedBy), CreatedAt: wire.Time(r.Created), SubscriberCount: len(m.audience[r.Name]),
			Last: r.Last, Kept: r.Kept, Keep: r.Keep, Subscribed: c.session.subscribed[r.Name],
		})
	}
	return res, nil
}

func (m *mesh) deleteStream(c *call, req wire.DeleteStream) error {
	return m.contribute(c, func(tx *store.Tx) error {
		st, err := tx.Stream(req.Name)
		if errors.Is(err, store.ErrNotFound) {
			return wire.Errorf(wire.NotFound, "there is no stream %q", wire.Shorten(req.Name, 60))
		}
		if err != nil {
			return err
		}
		if !m.owns(c.session, st.MemberID) {
			return wire.Errorf(wire.Forbidden, "only %s, who made the stream, and admins may delete it", publisher(st.CreatedBy))
		}
		if err := tx.DeleteStream(req.Name); err != nil {
			return err
		}
		return m.audit(tx, c.session.actor(), wire.AuditStreamDeleted, audited{"stream": req.Name})
	})
}

func streamInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) error {
	all, err := rx.Streams()
	for _, s := range all {
		res.Streams = append(res.Streams, s.Name)
	}
	return err
}
