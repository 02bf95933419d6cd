package broker

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A watch is a URL that is looked at for a member. The store has what must
// outlive the process.
type watch struct {
	// Static.
	mesh     *mesh
	id       string
	memberID string
	alarm    *alarm // for the next look

	row     store.Watch // guarded by mesh.mu, but for what never changes
	checked time.Time   // the last look; guarded by mesh.mu, as resting is
	resting bool        // because its member has not been here
}

// newWatch returns the watch of a row. Nothing looks yet.
func (m *mesh) newWatch(row *store.Watch) *watch {
	w := &watch{mesh: m, id: row.ID, memberID: row.MemberID, row: *row, checked: row.Checked}
	w.alarm = &alarm{ring: func(time.Time) { m.srv.polls.add(w) }}
	return w
}

// watchURL makes a watch. Its first look comes after the answer.
func (m *mesh) watchURL(c *call, req wire.Watch) (wire.WatchAck, error) {
	row, err := m.checkWatch(&req)
	if err != nil {
		return wire.WatchAck{}, err
	}
	row.MemberID, row.Created = c.session.member.id, time.Now()
	cfg := m.srv.cfg
	err = m.contribute(c, func(tx *store.Tx) error {
		err := tx.AddWatch(row, cfg.MemberWatches, cfg.MaxWatches)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "a member has at most %d watches and a mesh %d: end one that is not needed any more", cfg.MemberWatches, cfg.MaxWatches)
		}
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.startWatch(m.newWatch(row), time.Now()) })
		return m.audit(tx, c.session.actor(), wire.AuditWatchCreated, audited{"watchId": row.ID})
	})
	return wire.WatchAck{WatchID: row.ID, URL: row.URL, Mode: wire.WatchMode(row.Mode), Interval: row.Interval}, err
}

// checkWatch checks a request and makes the row of it.
func (m *mesh) checkWatch(req *wire.Watch) (*store.Watch, error) {
	req.Mode, req.NotifyOn = cmp.Or(req.Mode, wire.WatchHash), cmp.Or(req.NotifyOn, notifyChange)
	switch req.Mode {
	case wire.WatchHash, wire.WatchJSON, wire.WatchStatus:
	default:
		return nil, wire.Errorf(wire.BadRequest, "mode must be %s, %s or %s, not %q", wire.WatchHash, wire.WatchJSON, wire.WatchStatus, wire.Shorten(string(req.Mode), 40))
	}
	if !knownNotify(req.NotifyOn) {
		return nil, wire.Errorf(wire.BadRequest, "notify_on must be change, match:<value> or not_match:<value>, not %q", wire.Shorten(req.NotifyOn, 40))
	}
	for _, t := range []struct {
		field, text string
		most        int
	}{{"url", req.URL, wire.MaxWatchURL}, {"label", req.Label, wire.MaxWatchLabel}, {"extract", req.Extract, wire.MaxWatchPath}, {"notify_on", req.NotifyOn, wire.MaxWatchNotify}} {
		if err := fits(t.field, t.text, t.most); err != nil {
			return nil, err
		}
	}
	if req.Extract != "" && req.Mode != wire.WatchJSON {
		return nil, wire.Errorf(wire.BadRequest, "extract is for the mode %s", wire.WatchJSON)
	}
	if _, err := parsePath(req.Extract); err != nil {
		return nil, err
	}
	if err := m.checkWatched(req.URL); err != nil {
		return nil, err
	}
	interval, err := watchInterval(req.Interval)
	if err != nil {
		return nil, err
	}
	headers, err := m.sealHeaders(req.Headers)
	return &store.Watch{
		ID: newWatchID(), URL: req.URL, Mode: string(req.Mode), Extract: req.Extract, Interval: interval,
		NotifyOn: req.NotifyOn, Headers: headers, Label: clean(req.Label, wire.MaxWatchLabel),
	}, err
}

func (m *mesh) checkWatched(text string) error {
	u, err := url.Parse(text)
	if err != nil || wire.HasControl(text) {
		return wire.Errorf(wire.BadRequest, "url is no URL: write it as https://example.com/status")
	}
	return m.srv.fetch.checkURL(u)
}

func watchInterval(given *float64) (int, error) {
	if given == nil {
		return wire.WatchInterval, nil
	}
	if *given > wire.MaxWatchInterval {
		return 0, wire.Errorf(wire.BadRequest, "interval must be at most %d seconds, a day", wire.MaxWatchInterval)
	}
	return max(wire.MinWatchInterval, int(math.Round(*given))), nil
}

func newWatchID() string {
	var b [4]byte
	rand.Read(b[:])
	return "w_" + hex.EncodeToString(b[:])
}

// headerName is what RFC 9110 calls a token.
var headerName = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,100}$")

// ownHeaders are the headers that are the broker's to set.
var ownHeaders = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Keep-Alive", "Expect",
	"Accept-Encoding", "Proxy-Authorization", "Proxy-Connection"}

// sealHeaders makes headers fit to be kept: they may be credentials.
func (m *mesh) sealHeaders(headers map[string]string) ([]byte, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	if len(headers) > wire.MaxWatchHeaders {
		return nil, wire.Errorf(wire.TooLarge, "there are %d headers, and %d are the most", len(headers), wire.MaxWatchHeaders)
	}
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
		switch {
		case !headerName.MatchString(name) || wire.HasControl(strings.ReplaceAll(value, "\t", "")):
			return nil, wire.Errorf(wire.BadRequest, "the header %q cannot be sent: look for spaces, colons and line breaks", wire.Shorten(name, 40))
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			return nil, wire.Errorf(wire.BadRequest, "the header %s is set by the broker: leave it out", wire.Shorten(name, 40))
		}
	}
	if size > wire.MaxHeaderBytes {
		return nil, wire.Errorf(wire.TooLarge, "the headers have %d bytes, and %d are the most", size, wire.MaxHeaderBytes)
	}
	plain, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	return m.srv.atRest.Seal(plain), nil
}

// openHeaders returns what sealHeaders was given.
func (m *mesh) openHeaders(sealed []byte) (http.Header, error) {
	h := make(http.Header)
	if sealed == nil {
		return h, nil
	}
	plain, err := m.srv.atRest.Open(sealed)
	if err != nil {
		return nil, errors.New("its headers cannot be read: make the watch anew")
	}
	var headers map[string]string
	if err := json.Unmarshal(plain, &headers); err != nil {
		return nil, err
	}
	for name, value := range headers {
		h.Set(name, value)
	}
	return h, nil
}

// unwatch ends a watch. Of those of others it says what it says of none.
func (m *mesh) unwatch(c *call, req wire.Unwatch) (wire.WatchAck, error) {
	m.mu.Lock()
	w := m.watches[req.WatchID]
	m.mu.Unlock()
	if w == nil || w.memberID != c.session.member.id {
		return wire.WatchAck{}, wire.Errorf(wire.NotFound, "you have no watch %q", wire.Shorten(req.WatchID, 40))
	}
	err := m.contribute(c, func(tx *store.Tx) error {
		err := tx.DeleteWatch(w.id)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.endWatch(w) })
		return m.audit(tx, c.session.actor(), wire.AuditWatchDeleted, audited{"watchId": w.id})
	})
	return wire.WatchAck{WatchID: w.id, URL: w.row.URL, Mode: wire.WatchMode(w.row.Mode)}, err
}

func (m *mesh) listWatches(c *call, _ wire.ListWatches) (wire.WatchList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.WatchList{Watches: []wire.WatchEntry{}}
	for _, w := range m.watches {
		if w.memberID == c.session.member.id {
			res.Watches = append(res.Watches, w.entry())
		}
	}
	slices.SortFunc(res.Watches, func(a, b wire.WatchEntry) int {
		return cmp.Or(a.CreatedAt.Std().Compare(b.CreatedAt.Std()), cmp.Compare(a.ID, b.ID))
	})
	return res, nil
}

// entry describes a watch to its member. It is called with mesh.mu held.
func (w *watch) entry() wire.WatchEntry {
	r := &w.row
	return wire.WatchEntry{
		ID: r.ID, URL: r.URL, Mode: wire.WatchMode(r.Mode), Label: r.Label, Interval: r.Interval, LastHash: r.Value, LastValue: r.Value,
		LastCheck: when(w.checked), CreatedAt: wire.Time(r.Created), Extract: r.Extract, NotifyOn: r.NotifyOn,
		LastError: r.Error, Failures: r.Failures, Suspended: w.resting,
	}
}
