// Package wire is the vocabulary that a broker and its peers share: the frames
// of the WebSocket, which request has which answer, the bodies of the HTTP
// endpoints, targets, priorities, statuses, error codes and limits.
//
// # Frames
//
// A frame is one JSON object in one WebSocket message. It has a type, and
// a _reqId where its sender wants the answer matched to the question; both
// stand first when this package writes them. Unknown fields are ignored by
// either side. A type that is a [Request] declares its answer once, for both
// ends: a peer's call infers the type of the result from it and a broker's
// handler that answers with something else does not compile.
//
// [Index] lists every frame. What it does not list does not exist.
//
// # Times and keys
//
// Times are UTC with three fractional digits and a Z ([Time]). Keys are
// lower-case hex: 64 digits for a public key, 128 for a signature.
package wire
