package broker

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// getFile hands out the address of a file's bytes, and notes to whom.
func (m *mesh) getFile(c *call, req wire.GetFile) (wire.FileURL, error) {
	now := time.Now()
	who, expires := m.readerOf(c.session), now.Add(wire.DownloadFor)
	var res wire.FileURL
	err := m.contribute(c, func(tx *store.Tx) error {
		f, err := liveFile(&tx.Rx, req.FileID, now)
		if err != nil {
			return err
		}
		key, may, err := who.mayFetch(&tx.Rx, f)
		switch {
		case err != nil:
			return err
		case !may && f.Encrypted:
			return wire.Errorf(wire.Forbidden, "%q is encrypted and no key of it is for you: ask %s to grant you access", f.Name, f.UploaderName)
		case !may:
			return wire.Errorf(wire.Forbidden, "%q is for others: %s shared it with %s", f.Name, f.UploaderName, f.Target)
		}
		res = wire.FileURL{
			FileID: f.ID, Name: f.Name, Encrypted: f.Encrypted, SealedKey: key.sealed, SealedTo: key.to, Size: f.Size,
			SHA256: hex.EncodeToString(f.SHA256[:]), ExpiresAt: when(expires),
		}
		return tx.AddFileAccess(f.ID, store.FileAccess{PubKey: c.session.key, Name: c.session.name, At: now}, wire.MaxFileAccesses)
	})
	if err != nil {
		return wire.FileURL{}, err
	}
	res.URL, err = m.downloadURL(c, res.FileID, expires)
	return res, err
}

// listFiles lists the files that the caller may fetch, the newest first.
func (m *mesh) listFiles(c *call, req wire.ListFiles) (wire.FileList, error) {
	who, now, query := m.readerOf(c.session), time.Now(), strings.ToLower(req.Query)
	res := wire.FileList{Files: []wire.File{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		return rx.Files(func(f *store.File) (bool, error) {
			if over(f, now) || req.From != "" && f.UploaderName != req.From || !matches(f, query) {
				return true, nil
			}
			_, may, err := who.mayFetch(rx, f)
			if may {
				res.Files = append(res.Files, *wireFile(f))
			}
			return len(res.Files) < wire.MaxFileList, err
		})
	})
	return res, err
}

// matches reports whether the name or a tag of a file contains query, which is
// in lower case.
func matches(f *store.File, query string) bool {
	contains := func(s string) bool { return strings.Contains(strings.ToLower(s), query) }
	return contains(f.Name) || slices.ContainsFunc(f.Tags, contains)
}

func wireFile(f *store.File) *wire.File {
	return &wire.File{
		ID: f.ID, Name: f.Name, Size: f.Size, Tags: f.Tags, UploadedBy: f.UploaderName, UploadedAt: wire.Time(f.Uploaded),
		Persistent: f.Expires.IsZero(), Encrypted: f.Encrypted, UploaderID: f.Uploader, Type: f.Type,
		SHA256: hex.EncodeToString(f.SHA256[:]), TargetSpec: f.Target, ExpiresAt: when(f.Expires),
	}
}

// fileStatus tells who fetched a file those who may.
func (m *mesh) fileStatus(c *call, req wire.GetFileStatus) (wire.FileStatus, error) {
	who := m.readerOf(c.session)
	res := wire.FileStatus{FileID: req.FileID, Accesses: []wire.FileAccess{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		f, err := liveFile(rx, req.FileID, time.Now())
		if err != nil {
			return err
		}
		if _, may, err := who.mayFetch(rx, f); err != nil || !may {
			return orForbidden(err, "only those who may fetch a file see who did")
		}
		res.File = wireFile(f)
		all, err := rx.FileAccesses(f.ID, wire.MaxFileAccesses)
		for _, a := range all {
			res.Accesses = append(res.Accesses, wire.FileAccess{PeerName: a.Name, AccessedAt: wire.Time(a.At), Pubkey: a.PubKey})
		}
		return err
	})
	return res, err
}

// orForbidden returns err or, if it is nil, a refusal.
func orForbidden(err error, why string) error {
	if err != nil {
		return err
	}
	return wire.Errorf(wire.Forbidden, "%s", why)
}

// deleteFile removes a file of the caller's member, or any for an admin.
func (m *mesh) deleteFile(c *call, req wire.DeleteFile) (wire.Ack, error) {
	ack := wire.Ack{ID: req.FileID, MessageID: req.FileID}
	who := m.readerOf(c.session)
	var gone []store.FileSize
	err := m.contribute(c, func(tx *store.Tx) error {
		f, err := tx.File(req.FileID)
		if errors.Is(err, store.ErrNotFound) {
			ack.Unknown = true
			return nil
		}
		if err != nil {
			return err
		}
		own, err := who.owns(&tx.Rx, f)
		if err != nil || !own && !m.isAdmin(c.session.member) {
			return orForbidden(err, "only who shared a file, or an admin, may delete it")
		}
		gone = []store.FileSize{{ID: f.ID, Size: f.Size}}
		return m.forgetFiles(tx, c.session.actor(), gone)
	})
	if err == nil {
		m.removeBlobs(gone...)
	}
	return ack, err
}

// grantFileAccess records the key of a sealed file for one more reader.
func (m *mesh) grantFileAccess(c *call, req wire.GrantFileAccess) (wire.FileAccessGranted, error) {
	to, err := checkFileKey(wire.FileKey{PeerPubkey: req.PeerPubkey, SealedKey: req.SealedKey})
	if err != nil {
		return wire.FileAccessGranted{}, err
	}
	who, now := m.readerOf(c.session), time.Now()
	err = m.contribute(c, func(tx *store.Tx) error {
		f, err := liveFile(&tx.Rx, req.FileID, now)
		if err != nil {
			return err
		}
		own, err := who.owns(&tx.Rx, f)
		if err != nil || !own {
			return orForbidden(err, "only who shared a file may give others access to it")
		}
		if !f.Encrypted {
			return wire.Errorf(wire.BadRequest, "%q is not encrypted: whoever it is for can fetch it without a key", f.Name)
		}
		n, err := tx.FileKeys(f.ID)
		if err != nil {
			return err
		}
		if n >= wire.MaxFileGrants {
			return wire.Errorf(wire.Limit, "%d keys have access to %q, the most there may be: share it again", n, f.Name)
		}
		if err := tx.PutFileKey(f.ID, to, req.SealedKey, c.session.member.id, now); err != nil {
			return err
		}
		return m.audit(tx, c.session.actor(), wire.AuditFileGranted, audited{"fileId": f.ID, "pubkey": to})
	})
	return wire.FileAccessGranted{FileID: req.FileID, PeerPubkey: to}, err
}

// sealedKeySize is that of 32 bytes in a sealed box.
const sealedKeySize = 80

// checkFileKey returns the public key of k in lower case.
func checkFileKey(k wire.FileKey) (string, error) {
	key, err := seal.ParsePublicKey(k.PeerPubkey)
	if err != nil {
		return "", wire.Errorf(wire.BadRequest, "peerPubkey must be a key of 64 hex digits")
	}
	if raw, err := base64.StdEncoding.DecodeString(k.SealedKey); err != nil || len(raw) != sealedKeySize {
		return "", wire.Errorf(wire.BadRequest, "sealedKey must be base64 of %d bytes: a key of 32 in a sealed box", sealedKeySize)
	}
	return key.String(), nil
}

// fileInfo counts the files of the mesh, whoever they are for.
func fileInfo(m *mesh, _ *call, _ *store.Rx, res *wire.MeshInfoResult) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	res.FileCount = m.files.count
	return nil
}
