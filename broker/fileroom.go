package broker

import (
	"context"
	"maps"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A fileRoom keeps account of the room that the files of a mesh take, with
// those that are on their way in. The mesh's mutex guards it.
type fileRoom struct {
	used   int64           // bytes of the files there are
	count  int             // of them
	coming int64           // bytes that uploads under way have taken for themselves
	busy   map[string]bool // ids of uploads under way
	moving int             // uploads and downloads under way

	tokens map[[32]byte]uploadGrant // by the digest of the token
}

func (m *mesh) loadFiles(tx *store.Tx) error {
	all, err := tx.FileSizes()
	for _, f := range all {
		m.files.used += f.Size
		m.files.count++
	}
	m.files.busy, m.files.tokens = make(map[string]bool), make(map[[32]byte]uploadGrant)
	return err
}

// beginTransfer counts an upload or download; its end calls the function that
// is returned. An upload is named by its id, a download by "".
func (m *mesh) beginTransfer(id string) (end func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.files
	switch {
	case m.closed:
		return nil, wire.Errorf(wire.Unavailable, "the broker is shutting down: try again when it is back")
	case f.moving >= m.srv.cfg.MaxTransfers:
		return nil, wire.Errorf(wire.RateLimited, "%d uploads and downloads are under way in this mesh, the most there may be: try again in a moment", f.moving)
	case id != "" && f.count+len(f.busy) >= wire.MaxFiles:
		return nil, wire.Errorf(wire.Limit, "the mesh has %d files, the most it may: delete some", f.count)
	}
	f.moving++
	if id != "" {
		f.busy[id] = true
	}
	m.wg.Add(1)
	return func() {
		m.mu.Lock()
		f.moving--
		delete(f.busy, id)
		m.mu.Unlock()
		m.wg.Done()
	}, nil
}

// takeRoom has an upload take n more bytes for itself, which leaveRoom gives back.
func (m *mesh) takeRoom(n int64) error {
	if free, known := m.blobs.Free(); known && free-n < m.srv.cfg.MinFree {
		return wire.Errorf(wire.Unavailable, "the broker's disk has %s free, of which %s stay so, too little for this file; nothing was kept: its operator can make room, or lower --min-free",
			roughSize(free), roughSize(m.srv.cfg.MinFree))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.files
	if quota := m.srv.cfg.FileQuota; n > quota-f.used-f.coming {
		return wire.Errorf(wire.Limit, "the files of this mesh have %s of the %s they may, too much for this one too; nothing was kept: delete some, or ask the broker's operator for a larger --file-quota",
			roughSize(f.used+f.coming), roughSize(quota))
	}
	f.coming += n
	return nil
}

func (m *mesh) leaveRoom(n int64) {
	m.mu.Lock()
	m.files.coming -= n
	m.mu.Unlock()
}

// counted takes note, after the commit, of files that came or went.
func (m *mesh) counted(files int, bytes int64) {
	m.mu.Lock()
	m.files.count += files
	m.files.used += bytes
	m.mu.Unlock()
}

// removeBlobs removes the bytes of files whose rows are gone. What cannot be
// removed now is an orphan, and found again.
func (m *mesh) removeBlobs(files ...store.FileSize) {
	for _, f := range files {
		m.logFailed("remove the bytes of a file", m.blobs.Remove(f.ID))
	}
}

// sweepFiles removes the files whose time is over.
func (m *mesh) sweepFiles(now time.Time) error {
	for m.expireFiles(now) {
	}
	return nil
}

// expireFiles removes some files whose time is over, and reports whether there
// may be more.
func (m *mesh) expireFiles(now time.Time) (more bool) {
	var over []store.FileSize
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		over, err = rx.ExpiredFiles(now, batch)
		return err
	})
	if len(over) == 0 {
		m.logFailed("look for expired files", err)
		return false
	}
	err = m.db.Write(context.Background(), func(tx *store.Tx) error { return m.forgetFiles(tx, actor{}, over) })
	m.logFailed("expire files", err)
	if err != nil {
		return false
	}
	m.removeBlobs(over...)
	return len(over) == batch
}

// forgetFiles deletes the rows of files that are still there, for somebody or
// because their time is over.
func (m *mesh) forgetFiles(tx *store.Tx, by actor, files []store.FileSize) error {
	for _, f := range files {
		row, err := tx.File(f.ID)
		if err != nil {
			continue // deleted meanwhile
		}
		if err := tx.DeleteFile(f.ID); err != nil {
			return err
		}
		if err := m.audit(tx, by, wire.AuditFileDeleted, audited{"fileId": f.ID, "name": row.Name}); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.counted(-1, -f.Size) })
	}
	return nil
}

// sweepBlobs removes bytes without a row: those of uploads that a crash cut
// off, and of files that could not be removed when they were deleted.
func (m *mesh) sweepBlobs(ctx context.Context) {
	n, err := m.blobs.Sweep(func() (map[string]bool, error) {
		m.mu.Lock()
		wanted := maps.Clone(m.files.busy)
		m.mu.Unlock()
		// The rows come after the uploads: one that ends in between has its row.
		err := m.db.Read(ctx, func(rx *store.Rx) error {
			all, err := rx.FileSizes()
			for _, f := range all {
				wanted[f.ID] = true
			}
			return err
		})
		return wanted, err
	})
	m.logFailed("sweep files", err)
	if n > 0 {
		m.log.Info("bytes of files that nobody knows were removed", "files", n)
	}
}
