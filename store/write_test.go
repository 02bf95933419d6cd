package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// gated enqueues the writes while the writer is held up, so that all of them
// share the next transaction, and returns their errors.
func gated(t *testing.T, db *DB, fns ...func(*Tx) error) []error {
	t.Helper()
	held, open, errs := make(chan struct{}), make(chan struct{}), make([]error, len(fns))
	var wg sync.WaitGroup
	wg.Add(1)
	if err := db.Enqueue(t.Context(), func(*Tx) error { close(held); <-open; return nil }, func(error) { wg.Done() }); err != nil {
		t.Fatal(err)
	}
	<-held // else its transaction might take some of the others along
	for i, fn := range fns {
		wg.Add(1)
		if err := db.Enqueue(t.Context(), fn, func(err error) { errs[i] = err; wg.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	close(open)
	wg.Wait()
	return errs
}

func message() *Message {
	return &Message{Sender: 1, Target: "*", Priority: PriorityNext, Nonce: "n", Ciphertext: "c", Created: epoch, Expires: epoch.Add(time.Hour)}
}

func countMessages(t *testing.T, db *DB) (n int) {
	t.Helper()
	mustRead(t, db, func(rx *Rx) error { return rx.one("SELECT count(*) FROM message", nil, &n) })
	return n
}

// A write that fails, panics or is cancelled takes no other with it, and what
// follows a commit follows in its order: hooks, then done, then the next write.
func TestAWriteIsIsolated(t *testing.T) {
	db := open(t)
	errNo := errors.New("no")
	var mu sync.Mutex // orders the senders, so that the order of the calls is known
	var told []string // only touched on the writer's goroutine
	var want []string // guarded by mu
	var wg sync.WaitGroup
	for i := range 600 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cancelled := i%7 == 0
			if cancelled {
				cancel()
			}
			fails := cancelled || i%5 == 0 || i%11 == 0 || i%13 == 0
			fn := func(tx *Tx) error {
				if err := tx.AddMessage(message(), []int64{1}); err != nil {
					return err
				}
				tx.AfterCommit(func() { told = append(told, fmt.Sprint("after ", i)) })
				switch {
				case i%5 == 0:
					return errNo
				case i%11 == 0:
					panic("boom")
				case i%13 == 0:
					_, err := tx.exec(insertDelivery, 1, tx.db.seq, 1) // is there already
					return err
				}
				return nil
			}
			done := make(chan error, 1)
			mu.Lock()
			err := db.Enqueue(ctx, fn, func(err error) {
				told = append(told, fmt.Sprint("done ", i))
				done <- err
			})
			if err == nil && !fails {
				want = append(want, fmt.Sprint("after ", i))
			}
			if err == nil {
				want = append(want, fmt.Sprint("done ", i))
			}
			mu.Unlock()
			if err == nil {
				err = <-done
			}
			if (err != nil) != fails {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if !slices.Equal(told, want) {
		t.Errorf("told %d things, wanted %d; or in another order", len(told), len(want))
	}
	succeeded := 0
	for _, s := range want {
		if strings.HasPrefix(s, "after") {
			succeeded++
		}
	}
	if n := countMessages(t, db); n != succeeded || db.QueueDepth() != int64(succeeded) {
		t.Errorf("%d rows, depth %d, %d successes", n, db.QueueDepth(), succeeded)
	}
}

func TestAPanicNamesItself(t *testing.T) {
	err := open(t).Write(t.Context(), func(*Tx) error { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
}

// The whole batch is told of a full disk, even a write that ignored it, and
// the store goes on when there is room again.
func TestAFullDiskLosesTheBatchAndNothingElse(t *testing.T) {
	db := open(t)
	before := message()
	mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(before, []int64{1}) })
	limit := func(pages int) {
		mustWrite(t, db, func(tx *Tx) error { return tx.script(fmt.Sprint("PRAGMA max_page_count = ", pages)) })
	}
	limit(1) // means: no page more than there are
	small := func(tx *Tx) error { return tx.AddMessage(message(), []int64{1}) }
	big := func(tx *Tx) error {
		m := message()
		m.Ciphertext = strings.Repeat("x", 1<<20)
		tx.AddMessage(m, []int64{1}) // a caller who does not look
		return nil
	}
	for i, err := range gated(t, db, small, big, small) {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("write %d on a full disk: %v", i, err)
		}
	}
	if n := countMessages(t, db); n != 1 || db.QueueDepth() != 1 {
		t.Errorf("%d messages, depth %d, after a full disk", n, db.QueueDepth())
	}
	limit(1 << 30)
	for i, err := range gated(t, db, small, big, small) {
		if err != nil {
			t.Errorf("write %d with room again: %v", i, err)
		}
	}
	if n := countMessages(t, db); n != 4 || db.QueueDepth() != 4 {
		t.Errorf("%d messages, depth %d, with room again", n, db.QueueDepth())
	}
}

// What the rule against a caller's context in a statement guards from: an
// end of the transaction behind our back is noticed.
func TestAnInterruptedTransactionIsLostAsAWhole(t *testing.T) {
	db := open(t)
	interrupted := func(tx *Tx) error {
		if _, err := tx.exec("ROLLBACK"); err != nil { // as SQLite does
			return err
		}
		return nil
	}
	ok := func(tx *Tx) error { return tx.AddMessage(message(), []int64{1}) }
	for i, err := range gated(t, db, ok, interrupted, ok) {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	mustWrite(t, db, ok)
	if n := countMessages(t, db); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestCloseWaitsAndThenRefuses(t *testing.T) {
	db := open(t)
	var told int
	for range 50 {
		err := db.Enqueue(t.Context(), func(tx *Tx) error { return tx.AddMessage(message(), nil) }, func(err error) {
			if err == nil {
				told++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if told != 50 {
		t.Errorf("%d of 50 writes were told of", told)
	}
	if err := db.Write(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Error("write after close:", err)
	}
	if err := db.Read(t.Context(), func(*Rx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Error("read after close:", err)
	}
}

func TestAFullQueueWaitsForTheContext(t *testing.T) {
	db := open(t)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(gate)
	put := func(ctx context.Context) error {
		return db.Enqueue(ctx, func(*Tx) error { <-gate; return nil }, func(error) { wg.Done() })
	}
	taken := make(chan struct{})
	wg.Add(1)
	if err := db.Enqueue(t.Context(), func(*Tx) error { close(taken); <-gate; return nil }, func(error) { wg.Done() }); err != nil {
		t.Fatal(err)
	}
	<-taken
	for range maxQueue {
		wg.Add(1)
		if err := put(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := put(ctx); !errors.Is(err, context.Canceled) {
		t.Error("put into a full queue:", err)
	}
}

// Readers see whole writes only, and none that was undone.
func TestReadersSeeWholeWrites(t *testing.T) {
	db := open(t)
	var wg, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := db.Read(t.Context(), func(rx *Rx) error {
					var messages, deliveries int
					if err := rx.one("SELECT count(*) FROM message", nil, &messages); err != nil {
						return err
					}
					if err := rx.one("SELECT count(*) FROM delivery", nil, &deliveries); err != nil {
						return err
					}
					if deliveries != 3*messages {
						return fmt.Errorf("%d messages have %d deliveries", messages, deliveries)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				err := db.Write(t.Context(), func(tx *Tx) error {
					if err := tx.AddMessage(message(), []int64{1, 2, int64(3 + i)}); err != nil {
						return err
					}
					if j%4 == 0 {
						return ErrLimit
					}
					return nil
				})
				if (err != nil) != (j%4 == 0) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
}

func TestAReadCannotWrite(t *testing.T) {
	db := open(t)
	err := db.Read(t.Context(), func(rx *Rx) error { _, err := rx.exec(deleteNotice, 1); return err })
	if err == nil {
		t.Error("a reader deleted")
	}
}

func TestAStatementIsNotRunWhileItsRowsAreRead(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(message(), nil) })
	err := db.Read(t.Context(), func(rx *Rx) error {
		return rx.MessagesBySeq([]int64{1}, func(*Message) error {
			return rx.MessagesBySeq([]int64{1}, func(*Message) error { return nil })
		})
	})
	if err == nil {
		t.Error("nested reading of one statement went unnoticed")
	}
}

func TestAppendedWriteThatFailsFirstIsUndoneAlone(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 1)
	refused := errors.New("refused")
	first, second := make(chan error, 1), make(chan error, 1)
	hold := make(chan struct{})
	mustEnqueue := func(put func(context.Context, func(*Tx) error, func(error)) error, fn func(*Tx) error, done chan error) {
		t.Helper()
		if err := put(t.Context(), fn, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	held := make(chan error, 1)
	mustEnqueue(db.Enqueue, func(*Tx) error { <-hold; return nil }, held) // so that the next two share a batch
	mustEnqueue(db.Append, func(*Tx) error { return refused }, first)
	mustEnqueue(db.Append, func(tx *Tx) error { return tx.AddMessage(message(), ids) }, second)
	close(hold)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	if err := <-first; !errors.Is(err, refused) {
		t.Error(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if got := pending(t, db, ids[0]); len(got) != 1 {
		t.Error("pending", got)
	}
}

func TestAppendedWriteThatFailsLateTakesItsBatchAlong(t *testing.T) {
	db := open(t)
	ids := addresses(t, db, 1)
	refused := errors.New("too late")
	done := make(chan error, 1)
	err := db.Append(t.Context(), func(tx *Tx) error {
		if err := tx.AddMessage(message(), ids); err != nil {
			return err
		}
		return refused
	}, func(err error) { done <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, refused) {
		t.Error(err)
	}
	if got := pending(t, db, ids[0]); len(got) != 0 {
		t.Error("pending", got)
	}
	mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(message(), ids) })
}
