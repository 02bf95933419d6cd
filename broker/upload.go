package broker

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"claudemesh/store"
	"claudemesh/wire"
)

// maxMIME bounds a stored content type.
const maxMIME = 128

// serveUpload takes a file: POST /upload. Its body is the content, and goes to
// disk as it comes. The answer leaves when bytes and row are durable.
func (srv *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	m, grant, err := srv.uploader(r)
	if err == nil {
		var res wire.UploadResult
		if res, err = m.upload(w, r, &grant); err == nil {
			writeJSON(w, http.StatusOK, res)
			return
		}
	}
	e := asError(err)
	if e.Code == wire.Internal || e.Code == wire.Unavailable {
		srv.log.Error("upload failed", "err", err)
	}
	w.Header().Set("Connection", "close") // the rest of the body is not wanted
	writeError(w, 0, e)
}

func (m *mesh) upload(w http.ResponseWriter, r *http.Request, grant *uploadGrant) (res wire.UploadResult, err error) {
	f, keys, err := m.uploadHead(r, grant)
	if err != nil {
		return res, err
	}
	end, err := m.beginTransfer(f.ID)
	if err != nil {
		return res, err
	}
	defer end()
	t, err := m.srv.carried.begin(w)
	if err != nil {
		return res, err
	}
	defer t.end()
	room := &room{mesh: m}
	defer room.leave() // when the row counts, or nothing was kept
	if err := m.receive(r, t, room, f); err != nil {
		return res, err
	}
	if err := m.record(f, keys, grant); err != nil {
		m.removeBlobs(store.FileSize{ID: f.ID})
		return res, err
	}
	t.refresh() // what it took to make it durable is no stall of the peer's
	return wire.UploadResult{HTTPResult: wire.HTTPResult{OK: true}, FileID: f.ID, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256[:])}, nil
}

// uploadHead reads what the headers say of a file.
func (m *mesh) uploadHead(r *http.Request, grant *uploadGrant) (*store.File, []wire.FileKey, error) {
	name := r.Header.Get(wire.HeaderFileName)
	if name == "" {
		return nil, nil, wire.Errorf(wire.BadRequest, "%s is needed", wire.HeaderFileName)
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain // older clients do not encode it
	}
	f := &store.File{
		ID: store.NewID(), Name: wire.CleanFileName(name), Type: mimeType(r.Header.Get("Content-Type")),
		UploaderName: grant.name, Uploaded: time.Now(), Encrypted: r.Header.Get(wire.HeaderEncrypted) == "true",
	}
	if grant.member != nil {
		f.Uploader = grant.member.id
	}
	if r.Header.Get(wire.HeaderPersist) == "false" {
		f.Expires = f.Uploaded.Add(wire.EphemeralFor)
	}
	var err error
	if f.Tags, err = fileTags(r.Header.Get(wire.HeaderTags)); err != nil {
		return nil, nil, err
	}
	if f.Target, err = fileTarget(r.Header.Get(wire.HeaderTarget)); err != nil {
		return nil, nil, err
	}
	if !f.Encrypted {
		return f, nil, nil
	}
	if f.Owner, err = m.ownerKey(grant, r.Header.Get(wire.HeaderOwner)); err != nil {
		return nil, nil, err
	}
	keys, err := fileKeys(r.Header.Get(wire.HeaderFileKeys))
	return f, keys, err
}

// mimeType returns a content type in its plain form, "" for what is none.
func mimeType(s string) string {
	kind, _, err := mime.ParseMediaType(s)
	if err != nil || len(kind) > maxMIME || wire.HasControl(kind) {
		return ""
	}
	return kind
}

func fileTags(s string) ([]string, error) {
	tags, given := []string{}, []string{}
	if json.Unmarshal([]byte(s), &given) != nil {
		return tags, nil // as older brokers have it
	}
	for _, t := range given {
		if t = strings.TrimSpace(clean(t, wire.MaxFileTag+1)); utf8.RuneCountInString(t) > wire.MaxFileTag {
			return nil, wire.Errorf(wire.TooLarge, "the tag %q is longer than %d characters", t, wire.MaxFileTag)
		}
		if t != "" {
			tags = append(tags, t)
		}
	}
	return tags, few("tags", tags, wire.MaxFileTags)
}

// fileTarget returns who may fetch a file as it is stored: "" for everyone.
func fileTarget(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	t, err := wire.ParseTarget(s)
	switch {
	case err != nil:
		return "", err
	case t.Kind == wire.ToPrefix:
		return "", wire.Errorf(wire.InvalidTarget, "%s must be a key in full, @group or *", wire.HeaderTarget)
	case t.Kind == wire.ToAll:
		return "", nil
	}
	return t.String(), nil
}

func fileKeys(s string) ([]wire.FileKey, error) {
	var keys []wire.FileKey
	if json.Unmarshal([]byte(s), &keys) != nil || len(keys) == 0 {
		return nil, wire.Errorf(wire.BadRequest, "an encrypted file needs the keys that open it, as a JSON array in %s", wire.HeaderFileKeys)
	}
	if len(keys) > wire.MaxFileKeys {
		return nil, wire.Errorf(wire.BadRequest, "%s has at most %d keys: grant the others access afterwards", wire.HeaderFileKeys, wire.MaxFileKeys)
	}
	for i := range keys {
		key, err := checkFileKey(keys[i])
		if err != nil {
			return nil, err
		}
		keys[i].PeerPubkey = key
	}
	return keys, nil
}

// receive writes the body to disk under the id of f, whose size and sum it
// fills in.
func (m *mesh) receive(r *http.Request, t *transfer, room *room, f *store.File) error {
	sum, stated, err := statedSum(r)
	switch {
	case err != nil:
		return err
	case r.ContentLength > m.srv.cfg.MaxFile:
		return m.tooLarge()
	case r.ContentLength == 0 && !stated:
		return emptyUpload
	}
	if err := room.need(r.ContentLength); err != nil {
		return err
	}
	blob, err := m.blobs.Create(f.ID)
	if err != nil {
		return err
	}
	err = m.copyBody(blob, r.Body, t, room)
	f.Size, f.SHA256 = blob.Size(), blob.Sum()
	switch {
	case err != nil:
	case f.Size == 0 && !stated:
		err = emptyUpload
	case stated && sum != f.SHA256:
		err = wire.Errorf(wire.BadRequest, "the body is not what %s says: it was altered on the way, or while it was read", wire.HeaderSHA256)
	}
	if err != nil {
		blob.Discard() // what it leaves behind is swept
		return err
	}
	return blob.Keep()
}

var emptyUpload = wire.Errorf(wire.BadRequest, "the body is empty: if the file is, say so by its sum in %s", wire.HeaderSHA256)

func (m *mesh) tooLarge() error {
	return wire.Errorf(wire.TooLarge, "the file has more than the %s that one may have: split it, or ask the broker's operator for a larger --max-file", roughSize(m.srv.cfg.MaxFile))
}

func (m *mesh) copyBody(to *store.Blob, body io.Reader, t *transfer, room *room) error {
	buf := make([]byte, copyBuffer)
	for {
		if err := t.moved(); err != nil {
			return err
		}
		n, err := body.Read(buf)
		if to.Size()+int64(n) > m.srv.cfg.MaxFile {
			return m.tooLarge()
		}
		if err := room.need(to.Size() + int64(n)); err != nil {
			return err
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return wire.Errorf(wire.BadRequest, "the upload broke off after %d bytes; nothing was kept", to.Size())
		}
	}
}

// A room is what an upload has taken of its mesh's.
type room struct {
	mesh  *mesh
	taken int64
}

// need makes sure that the upload has taken n bytes at least.
func (r *room) need(n int64) error {
	if n <= r.taken {
		return nil
	}
	err := r.mesh.takeRoom(n - r.taken)
	if err == nil {
		r.taken = n
	}
	return err
}

func (r *room) leave() { r.mesh.leaveRoom(r.taken) }

// record commits a file whose bytes are on disk.
func (m *mesh) record(f *store.File, keys []wire.FileKey, grant *uploadGrant) error {
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		if err := grant.stillMember(&tx.Rx); err != nil {
			return err
		}
		if err := tx.AddFile(f); err != nil {
			return err
		}
		for _, k := range keys {
			if err := tx.PutFileKey(f.ID, k.PeerPubkey, k.SealedKey, f.Uploader, f.Uploaded); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() { m.counted(1, f.Size) })
		return m.audit(tx, actor{f.Uploader, f.UploaderName}, wire.AuditFileShared, audited{
			"fileId": f.ID, "name": f.Name, "size": f.Size, "sha256": hex.EncodeToString(f.SHA256[:]), "targetSpec": f.Target, "encrypted": f.Encrypted,
		})
	})
}
