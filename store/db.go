package store

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBatch = 256  // writes in one transaction
	maxQueue = 1024 // writes waiting for the writer

	patience = 10 * time.Millisecond // that a deferred write waits for another
)

// Options tune a DB. The zero value is right for a broker.
type Options struct {
	// Readers is how many connections read at the same time; 0 means 2. They
	// are opened when first needed.
	Readers int
}

// DB is an open store. All its methods may be called from any goroutine.
type DB struct {
	path  string
	reads chan *conn // slots of the reading connections; nil for one not open yet

	mu     sync.RWMutex  // guards ended, and sends on writes against its closing
	ended  bool          // no more writes are taken
	ending chan struct{} // closed with ended set
	writes chan *write
	done   chan struct{} // closed when the writer has stopped

	deferred chan *write
	waiting  chan struct{} // has an element when there may be deferred writes

	closed chan struct{} // closed when Close has finished
	err    error         // result of Close, valid once closed is closed

	depth   atomic.Int64 // deliveries neither done nor expired
	failing atomic.Bool  // the newest batch could not be committed

	// Owned by the writer's goroutine once it runs.
	seq   int64 // the newest given out
	sent  *sentIndex
	known map[string]Address // by key: some of those that are as stored
	head  AuditHead          // of the batch under way, if there is one
}

// Open opens the file at path, makes it if need be, and brings its tables up
// to date. It refuses, and does not touch, a file that a newer version wrote
// (ErrNewer) and one that is damaged or no mesh at all (ErrCorrupt), for which
// it reads the whole file once. ctx bounds the opening only.
func Open(ctx context.Context, path string, opts Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	readers := opts.Readers
	if readers <= 0 {
		readers = 2
	}
	w, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	db := &DB{
		path:   path,
		reads:  make(chan *conn, readers),
		ending: make(chan struct{}),
		writes: make(chan *write, maxQueue),

		deferred: make(chan *write, maxQueue),
		waiting:  make(chan struct{}, 1),

		done:   make(chan struct{}),
		closed: make(chan struct{}),
		sent:   newSentIndex(maxSent),
		known:  make(map[string]Address),
	}
	for range readers {
		db.reads <- nil
	}
	if err := db.load(&Rx{w}); err != nil {
		w.close()
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	go db.write(w)
	return db, nil
}

// load fills what is kept in memory.
func (db *DB) load(rx *Rx) error {
	if err := rx.one(selectLastSeq, nil, &db.seq); err != nil {
		return err
	}
	var depth int64
	if err := rx.one(selectDepth, nil, &depth); err != nil {
		return err
	}
	db.depth.Store(depth)
	head, err := rx.LastAudit()
	if err != nil {
		return err
	}
	db.head = head
	return db.sent.load(rx)
}

// Close waits for the writes already taken and the reads under way, then
// closes the file. Later calls wait for the first and return its result.
func (db *DB) Close() error {
	db.mu.Lock()
	first := !db.ended
	if first {
		db.ended = true
		close(db.ending)
	}
	db.mu.Unlock()
	if !first {
		<-db.closed
		return db.err
	}
	defer close(db.closed)
	for range cap(db.reads) {
		if c := <-db.reads; c != nil {
			c.close() // holds nothing that could be lost
		}
	}
	close(db.writes) // only now: who is alone when it closes leaves all in the file, and two at once do not
	<-db.done
	return db.err
}

// An Rx reads from one snapshot. It lives as long as the function it is given to.
type Rx struct{ *conn }

// Read calls fn with a snapshot of everything committed before. ctx bounds the
// wait for a free connection. fn must not keep its Rx, nor call Read.
func (db *DB) Read(ctx context.Context, fn func(*Rx) error) error {
	var c *conn
	select {
	case c = <-db.reads:
	case <-db.ending:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.reads <- c }()
	if c == nil {
		fresh, err := dial(dsn(db.path, readerPragmas))
		if err != nil {
			return fmt.Errorf("store: open %s to read: %w", db.path, err)
		}
		c = fresh
	}
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer c.exec("ROLLBACK")
	return fn(&Rx{c})
}

// What each connection is told first. The caches are small so that an idle
// broker is; temporary data is a savepoint's before-images, a few pages.
const (
	writerPragmas = "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=wal_autocheckpoint(1000)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-1024)"
	readerPragmas = "&_pragma=query_only(1)&_pragma=cache_size(-512)"
	lookPragmas   = "&mode=ro" // touch nothing
)

// dsn names the file at path, an absolute path, as the driver wants it.
func dsn(path, pragmas string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/… on Windows
	}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)" + pragmas
}
