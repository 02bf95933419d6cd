// Package peer is one end of claudemesh: a connection to one mesh, and what
// a user's machine knows of its meshes.
//
// # Connection
//
// A [Client] is the connection of one session, or command, to one mesh. [Open]
// connects at once or fails; [Start] goes on trying. One goroutine, run, owns
// the connection and everything below it:
//
//	connecting ─▸ open ⇄ reconnecting
//	     └──────────┴──────────┴─▸ closed
//
// Close codes and refusals are judged in one place (close.go): some are worth
// another try, one corrects our clock, the rest end the client with the reason.
//
// The reader of a connection runs in run's goroutine and never waits: it gives
// answers to the calls that wait for them, strictly by _reqId, or by id for
// a send, and what nobody asked for to the handlers of pushHandlers. All that
// is written goes through a queue whose length is bounded by what may be under
// way: calls, sends, one acknowledgement.
//
// # What survives a lost connection
//
//   - a send without an answer: repeated with the same bytes, in order; the
//     broker recognises its id
//   - mail in the inbox, and what the broker was not yet told of it
//   - what the session wants known of itself: groups, summary, status (desired.go)
//   - what it subscribes to: it subscribes again, from the entry after the last
//     it has read
//   - nothing else: a call that had no answer fails with ErrLost
//
// # Mail
//
// A push is opened, put in the inbox, and acknowledged as delivered. It is
// acknowledged as seen when the consumer says so with MarkSeen, and never
// before. What was not seen is not dropped: a full inbox takes nothing, and the
// broker keeps it. A message is authenticated only if its box opened or its
// signature fits; what was sent to a key is never read in any other way.
//
// # Files
//
// What other peers ask of this machine's files is read by a few workers, by
// what package share permits, and answered under the _reqId of the broker.
// Each access is in the user's log before it is answered (sharing.go).
//
// # Locks
//
// Client.mu, then inbox.mu, the mutex of a conn or of a Subscription; those of
// boxes, peerCache and fileServer stand alone. None is held while waiting.
package peer
