package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// A Tx writes, and reads what it wrote. It lives as long as the function it
// is given to.
type Tx struct {
	Rx
	db    *DB
	depth int64 // what the write adds to the queue depth
	after []func()
}

// AfterCommit has fn called once the transaction is on disk, and not at all
// if the write fails. Such calls are made on the writer's goroutine in the
// order of the commits, so fn must not wait, nor call Write or Enqueue: with a
// full queue that would be a wait for itself.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Write calls fn in the next transaction and returns when it is on disk. An
// error of fn, or a panic in it, undoes this write and no other. If ctx ends
// first Write gives up waiting, but fn may still take effect. It must not be
// called on the writer's goroutine.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	done := make(chan error, 1)
	if err := db.Enqueue(ctx, fn, func(err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Enqueue puts a write into the queue and returns; it waits only while the
// queue is full. If it returns an error (ErrClosed, or that of ctx) neither
// function is ever called. Otherwise done is called exactly once, on the
// writer's goroutine, after the commit or the failure, after the AfterCommit
// hooks of this write, in commit order; what holds for these holds for it.
// If ctx has ended when the write's turn comes fn is not called and done gets
// the error of ctx. Writes of one goroutine run in the order they were put in.
func (db *DB) Enqueue(ctx context.Context, fn func(*Tx) error, done func(error)) error {
	return db.put(db.writes, &write{ctx: ctx, fn: fn, done: done})
}

// Append is Enqueue for the writes there are most of: fn must fail, if it does,
// before its first change. That saves a savepoint; where it fails later all the
// same, every write of the batch is undone and gets the error.
func (db *DB) Append(ctx context.Context, fn func(*Tx) error, done func(error)) error {
	return db.put(db.writes, &write{ctx: ctx, fn: fn, done: done, plain: true})
}

// Defer is Enqueue for a write that can wait a few milliseconds for the next
// one that cannot, so that both take one commit.
func (db *DB) Defer(ctx context.Context, fn func(*Tx) error, done func(error)) error {
	if err := db.put(db.deferred, &write{ctx: ctx, fn: fn, done: done}); err != nil {
		return err
	}
	select {
	case db.waiting <- struct{}{}:
	default:
	}
	return nil
}

func (db *DB) put(queue chan<- *write, w *write) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.ended {
		return ErrClosed
	}
	select {
	case queue <- w:
		return nil
	default:
	}
	select {
	case queue <- w:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// A write waits for the writer.
type write struct {
	ctx   context.Context // ends the wait, never a statement
	fn    func(*Tx) error
	done  func(error)
	plain bool // runs without a savepoint
	tx    Tx
	err   error
}

func (db *DB) write(c *conn) {
	defer close(db.done)
	batch := make([]*write, 0, maxBatch)
	for {
		batch = db.next(batch[:0])
		if len(batch) == 0 {
			break
		}
		head := db.head
		err := db.commit(c, batch)
		if err != nil {
			db.forget(head)
		}
		db.failing.Store(err != nil)
		for _, w := range batch {
			db.finish(w, err)
		}
		clear(batch)
	}
	db.err = c.close()
}

// next waits for writes and returns what is there: all that were enqueued, and
// with them those that were deferred; or, after a while, deferred ones alone.
// It returns nothing when the DB has been closed and nothing is left.
func (db *DB) next(batch []*write) []*write {
	var due <-chan time.Time
	for {
		select {
		case w, ok := <-db.writes:
			if ok {
				batch = gather(append(batch, w), db.writes)
			}
			return gather(batch, db.deferred)
		case <-db.waiting:
			if due == nil {
				due = time.After(patience)
			}
		case <-due:
			if batch = gather(batch, db.deferred); len(batch) > 0 {
				return batch
			}
			due = nil // an earlier batch took them along
		}
	}
}

// finish tells of a write whose batch ended with err.
func (db *DB) finish(w *write, err error) {
	if err != nil {
		w.err = err
	}
	if w.err == nil {
		db.depth.Add(w.tx.depth)
		for _, fn := range w.tx.after {
			fn()
		}
	}
	w.done(w.err)
}

// gather adds the writes that wait in a queue right now; it waits for none.
func gather(batch []*write, queue <-chan *write) []*write {
	for range maxBatch {
		select {
		case w, ok := <-queue:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. An error means that nothing of it
// was kept.
func (db *DB) commit(c *conn, batch []*write) error {
	c.fatal = nil
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return lost(c, err)
	}
	for _, w := range batch {
		if err := db.attempt(c, w); err != nil {
			return lost(c, err)
		}
	}
	if _, err := c.exec("COMMIT"); err != nil {
		return lost(c, err)
	}
	return nil
}

// attempt runs one write of a batch in a savepoint. It returns an error if
// the transaction as a whole cannot be trusted any more, even where the write
// itself chose to ignore that.
func (db *DB) attempt(c *conn, w *write) error {
	if w.err = w.ctx.Err(); w.err != nil {
		return nil
	}
	w.tx = Tx{Rx: Rx{c}, db: db}
	if w.plain {
		return db.attemptPlain(c, w)
	}
	if _, err := c.exec("SAVEPOINT w"); err != nil {
		return err
	}
	head := db.head
	w.err = w.run()
	if c.fatal != nil {
		return c.fatal
	}
	if w.err != nil {
		db.forget(head)
		if _, err := c.exec("ROLLBACK TO w"); err != nil {
			return err
		}
	}
	_, err := c.exec("RELEASE w")
	return err
}

// forget drops from memory what came of writes that were undone; head is of
// before them.
func (db *DB) forget(head AuditHead) {
	db.head = head
	clear(db.known)
}

// attemptPlain runs a write that changes nothing if it fails.
func (db *DB) attemptPlain(c *conn, w *write) error {
	before := c.ran
	w.err = w.run()
	if c.fatal != nil {
		return c.fatal
	}
	if w.err != nil && c.ran != before {
		return fmt.Errorf("a write failed after it had changed something: %w", w.err)
	}
	return nil
}

// lost rolls back what is left of a transaction. The rollback fails where
// SQLite has rolled back by itself, which is as good.
func lost(c *conn, err error) error {
	c.exec("ROLLBACK")
	if !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("store: nothing was written: %w", err)
}

func (w *write) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return w.fn(&w.tx)
}
