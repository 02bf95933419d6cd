package broker

import (
	"context"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// downloadURL returns a URL that is good for wire.DownloadFor, for one file
// and whoever it is given to. c's own way to the broker is a way that works.
func (m *mesh) downloadURL(c *call, id string, expires time.Time) (string, error) {
	ticket, err := m.srv.tickets.Make(m.id, id, c.session.member.id, expires)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(m.srv.baseURL(c))
	if err != nil {
		return "", err
	}
	u = u.JoinPath("download", m.id, id)
	u.RawQuery = url.Values{"token": {ticket}}.Encode()
	return u.String(), nil
}

// serveDownload serves the bytes of a file, or a range of them: GET
// /download/{mesh}/{file}?token=…. The token is all the proof it takes.
func (srv *Server) serveDownload(w http.ResponseWriter, r *http.Request) {
	m, f, err := srv.downloaded(r)
	if err != nil {
		writeError(w, 0, err)
		return
	}
	end, err := m.beginTransfer("")
	if err != nil {
		writeError(w, 0, err)
		return
	}
	defer end()
	content, err := m.blobs.Open(f.ID)
	if err != nil {
		m.logFailed("open the bytes of a file", err)
		writeError(w, 0, noSuchFile(f.ID)) // deleted this moment, or lost
		return
	}
	defer content.Close()
	t, err := srv.carried.begin(w)
	if err != nil {
		writeError(w, 0, err)
		return
	}
	defer t.end()
	h := w.Header()
	// A browser must not take a peer's file for a page of the broker.
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("ETag", `"`+hex.EncodeToString(f.SHA256[:])+`"`)
	http.ServeContent(w, r, "", f.Uploaded, moving{content, t})
}

// downloaded returns the file that a token lets its holder fetch.
func (srv *Server) downloaded(r *http.Request) (*mesh, *store.File, error) {
	id := r.PathValue("file")
	member, err := srv.tickets.Check(r.URL.Query().Get("token"), r.PathValue("mesh"), id, time.Now())
	switch {
	case errors.Is(err, seal.ErrTicketExpired):
		return nil, nil, wire.Errorf(wire.Forbidden, "this address of the file has expired: ask for it again")
	case err != nil:
		return nil, nil, wire.Errorf(wire.Forbidden, "this is not the address of a file: ask for it again")
	}
	m := srv.meshByID(r.PathValue("mesh"))
	if m == nil {
		return nil, nil, wire.Errorf(wire.Forbidden, "this is not the address of a file: ask for it again")
	}
	m.mu.Lock()
	here := m.members[member] != nil
	m.mu.Unlock()
	if !here {
		return nil, nil, wire.Errorf(wire.Forbidden, "the member whom this address was given to has left the mesh")
	}
	var f *store.File
	err = m.db.Read(context.WithoutCancel(r.Context()), func(rx *store.Rx) (err error) {
		f, err = liveFile(rx, id, time.Now())
		return err
	})
	return m, f, err
}
