// Package store keeps what one mesh remembers in one SQLite file, and the
// data directory such files live in.
//
// # Model
//
// A DB is a file open for one process. One goroutine owns the only connection
// that writes: it takes every write that waits, gives each a savepoint, and
// commits them together, so that a busy broker pays for one fsync per batch
// and an idle one waits for nobody. Reads run on a few connections of their
// own, each in its own snapshot, and never wait for the writer.
//
// No table has a mesh id: a query cannot cross meshes because the other mesh
// is another file.
//
// # Invariants
//
//   - Commit, then tell. Hooks given to [Tx.AfterCommit] and the done function
//     of [DB.Enqueue] run after the fsync, on the writer's goroutine, in the
//     order of the commits.
//   - No statement runs under its caller's context. SQLite answers an
//     interrupted statement by undoing the whole transaction, and the other
//     writes of the batch would go with it. A context bounds waiting only.
//   - A write that fails or panics is undone alone. A write during which the
//     file system failed takes its whole batch with it, and every write of
//     the batch is told so ([ErrUnavailable]).
//   - Messages have one order, seq, given out by the writer. It grows and has
//     gaps.
//   - What a write reported as committed survives kill -9 and, as far as
//     fsync is honest, a power cut. What it did not report may or may not be
//     there, but whole.
//   - Leases, status and the queue depth live in memory; nothing on disk
//     needs repair after a crash.
//
// # Time
//
// The file holds times as integer milliseconds since the Unix epoch, and NULL
// for none. The Go side is [time.Time] in UTC, and the zero Time for none;
// anything finer than a millisecond is cut off on the way in.
package store
