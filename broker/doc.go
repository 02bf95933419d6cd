// Package broker is the server: it decides who may, who gets a message, and
// what happens next. Bytes on the wire are package wire's, signatures package
// seal's, and what outlives the process package store's.
//
// # Model
//
// A [Server] holds one data directory and serves one listener. In it are
// meshes that share nothing but the process; each has a store, members,
// sessions and mailboxes in memory, and one mutex.
//
// A member is an enrolled key. A session value is one connection of a peer and
// the grace after it: when the connection goes, the session stays in its mesh
// without one, and ends if it has none when the grace is over. A peer that
// returns is a new session value that inherits from the old, or, after its
// grace, is restored from the store. A command (hello.transient) is a session
// value too, but in no list, without a grace, and saved nowhere.
//
// A mailbox is what waits for one address, a session's or a member's. It
// mirrors rows of the store while somebody is interested in them: an item is
// queued, leased to the session it was pushed to, or delivered to the process
// that acknowledged it. Only the row says whether a delivery is over; the
// mailbox says who has it. A session drains two: its own, and its member's,
// which it shares with the member's other sessions.
//
// # The path of a frame
//
// The reader of a connection handles one frame after the other: it checks the
// rate and the size, finds the route in routes.go, decodes, and calls the
// handler, which answers before the next frame is read. [wire.Send] and
// [wire.ClientAck] are answered later, from the store's writer, so that one
// connection can have many under way.
//
// # Features
//
// A feature is a file, or a few, with its name. It meets the rest in tables, a
// line in each that concerns it: routes.go for its frames, endpoints in http.go,
// infoParts in meshinfo.go for the overview, and features.go for what it does
// when a mesh is opened, a connection or a presence ends, a member is revoked,
// the key of what is kept sealed is rotated and time runs out.
//
// # Invariants
//
//   - Commit, then tell. What others learn from is in the store first: answers
//     and pushes leave from a [store.Tx.AfterCommit] hook, in the order of the
//     commits. Status, leases and presence events are in memory alone.
//   - The store of a mesh has one writer. What runs on its goroutine, the
//     function given to Write, Enqueue or Defer, its hooks and its done
//     function, never waits for a peer and, in hooks and done, never writes to
//     the store. What is decided in a transaction is decided from the rows it
//     reads, or from memory that only the writer changes: several writes share
//     a commit, and the hooks of the first have not run when the second does
//     (session.staged is how changes of one session build on each other).
//   - Locks are taken in this order: mesh.mu, then outbox.mu. Neither is held
//     over a call of the store or a write to a socket. Server.making, which
//     makes meshes come one at a time, is taken before both, and so are
//     runnerHolder.mu and service.acting, which orders what the runner is told
//     of one service and is held while it is; no writer of a store takes these.
//     All other mutexes are leaves: nothing is called while they are held.
//   - Nothing waits for a peer. A frame for a peer goes into the outbox of its
//     connection, which is bounded. Events are dropped there, the oldest
//     first, and counted; messages are bounded by the window of the session;
//     if an answer does not fit the connection is closed.
//   - One goroutine pushes to a session at a time. While a pump runs, or the
//     session is behind, mesh.deliver leaves the message in the mailbox; else
//     it pushes at once. So the pushes of a session ascend in seq, but for
//     what was held or is offered again.
//   - A connection has one reader and at most one writer, which lives while
//     there is something to write. Who closes a connection does so through its
//     outbox: what was queued before is written, the close frame comes last,
//     and nothing after it.
//   - Whoever starts a goroutine waits for it: connections and pings are in
//     Server.conns, pumps and looks at URLs in mesh.wg, and a writer ends before its reader does.
//   - Who asks is known from a verified signature or the admin token, and from
//     nothing else, in two places: Server.authenticate for sockets, and signed
//     for HTTP. A member who is revoked is refused from that commit on, which
//     is why a hello looks at the row once more in its own transaction.
//
// # Time
//
// One goroutine, the clock, pings, lapses leases and statuses, ends graces and
// sweeps the store. With nobody connected it sleeps. What is due at a moment of
// its own has an alarm (alarm.go), which the same goroutine rings; there is no
// other timer for such things. Tests run it in a bubble of testing/synctest, with
// pipes as sockets.
//
// # A restart
//
// Every session that was online when the process ended, however it ended, is
// in its grace when the store is opened again: who returns in time is no news
// to anybody, and the others leave once. Leases and statuses are gone. What
// was leased is queued again, and so is what was delivered but not yet seen,
// which a peer that still has it knows by its message id. Such sessions have
// their subscriptions again; those of commands and older clients end with the
// connection. Deployed services that ran are started again; those that were
// being built have failed.
package broker
