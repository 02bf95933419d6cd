package store

import (
	"errors"
	"fmt"
	"time"
)

const (
	auditColumns      = `id, event, actor, payload, created, hash`
	insertAudit       = `INSERT INTO audit (` + auditColumns + `) VALUES (?, ?, ?, ?, ?, ?)`
	selectAuditFirst  = `SELECT id FROM audit ORDER BY id LIMIT 1`
	selectAuditHead   = `SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1`
	selectAuditHash   = `SELECT hash FROM audit WHERE id = ?`
	selectAuditAfter  = `SELECT ` + auditColumns + ` FROM audit WHERE id > ? ORDER BY id LIMIT ?`
	selectAuditBefore = `SELECT ` + auditColumns + ` FROM audit WHERE id <= ? ORDER BY id DESC LIMIT ?`
	selectAuditEvents = `SELECT ` + auditColumns + ` FROM audit WHERE event = ? ORDER BY id DESC LIMIT ? OFFSET ?`
	countAuditEvents  = `SELECT count(*) FROM audit WHERE event = ?`
	selectAuditBase   = `SELECT id, hash, created, signer, signature FROM audit_base`
	upsertAuditBase   = `INSERT OR REPLACE INTO audit_base (one, id, hash, created, signer, signature) VALUES (1, ?, ?, ?, ?, ?)`
	deleteAudit       = `DELETE FROM audit WHERE id <= ?`
)

// AuditEntry is an entry of the audit log. What the hash is of, the caller
// defines; the store keeps the very bytes.
type AuditEntry struct {
	ID      int64 // 1 for the first that there ever was, and one more for each
	Event   string
	Actor   string // member id, "" for none
	Payload string
	Created time.Time // whole milliseconds
	Hash    [32]byte
}

func (e *AuditEntry) columns() []any {
	return []any{&e.ID, &e.Event, &e.Actor, &e.Payload, &e.Created, &e.Hash}
}

// AuditHead is the newest entry of an audit log; zero where there never was one.
type AuditHead struct {
	ID   int64
	Hash [32]byte
}

// AuditBase is where an audit log begins whose oldest entries were pruned: the
// last of these, and the signature that vouches for it.
type AuditBase struct {
	AuditHead
	Created   time.Time // whole milliseconds
	Signer    string    // public key, hex64
	Signature string
}

// AuditHead returns the entry that the next one follows, that of this write
// or batch included.
func (tx *Tx) AuditHead() AuditHead { return tx.db.head }

// AddAudit appends an entry, which must have the ID that follows the head's.
func (tx *Tx) AddAudit(e *AuditEntry) error {
	if e.ID != tx.db.head.ID+1 {
		return fmt.Errorf("store: audit entry %d cannot follow entry %d", e.ID, tx.db.head.ID)
	}
	if _, err := tx.exec(insertAudit, e.ID, e.Event, null(e.Actor), e.Payload, e.Created, e.Hash[:]); err != nil {
		return err
	}
	tx.db.head = AuditHead{e.ID, e.Hash}
	return nil
}

// LastAudit returns the newest entry that is on disk.
func (rx *Rx) LastAudit() (h AuditHead, err error) {
	err = rx.one(selectAuditHead, nil, &h.ID, &h.Hash)
	if !errors.Is(err, ErrNotFound) {
		return h, err
	}
	base, err := rx.AuditBase()
	return base.AuditHead, err
}

// FirstAudit returns the lowest id of an entry: ErrNotFound if there is none.
func (rx *Rx) FirstAudit() (id int64, err error) {
	err = rx.one(selectAuditFirst, nil, &id)
	return id, err
}

// AuditBase returns where the log begins: the zero AuditBase unless entries
// were pruned.
func (rx *Rx) AuditBase() (b AuditBase, err error) {
	err = rx.one(selectAuditBase, nil, &b.ID, &b.Hash, &b.Created, &b.Signer, &b.Signature)
	if errors.Is(err, ErrNotFound) {
		return AuditBase{}, nil
	}
	return b, err
}

// AuditHash returns the hash of an entry: ErrNotFound if there is no such.
func (rx *Rx) AuditHash(id int64) (hash [32]byte, err error) {
	err = rx.one(selectAuditHash, []any{id}, &hash)
	return hash, err
}

// AuditAfter lists the entries that follow the one with that id, oldest first.
func (rx *Rx) AuditAfter(id int64, limit int) ([]*AuditEntry, error) {
	return rx.auditEntries(selectAuditAfter, id, limit)
}

// AuditUpTo lists the entry with that id and those before it, newest first.
func (rx *Rx) AuditUpTo(id int64, limit int) ([]*AuditEntry, error) {
	return rx.auditEntries(selectAuditBefore, id, limit)
}

// AuditEvents lists the entries of one event, newest first, and counts all of
// them. It reads the whole log.
func (rx *Rx) AuditEvents(event string, offset, limit int) (page []*AuditEntry, total int, err error) {
	if err := rx.one(countAuditEvents, []any{event}, &total); err != nil {
		return nil, 0, err
	}
	page, err = rx.auditEntries(selectAuditEvents, event, limit, offset)
	return page, total, err
}

func (rx *Rx) auditEntries(query string, args ...any) ([]*AuditEntry, error) {
	var all []*AuditEntry
	err := rx.each(query, args, func(r row) error {
		e := new(AuditEntry)
		all = append(all, e)
		return r.scan(e.columns()...)
	})
	return all, err
}

// PruneAudit deletes the entries up to base, which is where the log begins from
// now on.
func (tx *Tx) PruneAudit(base AuditBase) error {
	if base.ID > tx.db.head.ID {
		return fmt.Errorf("store: audit entry %d is not there to be pruned: %w", base.ID, ErrNotFound)
	}
	if _, err := tx.exec(upsertAuditBase, base.ID, base.Hash[:], base.Created, base.Signer, base.Signature); err != nil {
		return err
	}
	_, err := tx.exec(deleteAudit, base.ID)
	return err
}
