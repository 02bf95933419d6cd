// Package seal holds the keys of claudemesh and all that is done with them: the texts that are signed, the boxes that
// messages and files travel in, and invites. It imports nothing of the project and keeps no state.
//
// # Keys
//
// Every identity is one Ed25519 key pair: a member's proves the right to connect, a session's is the address that
// messages are sealed to, a mesh owner's signs invites. Keys are hex on the wire; PublicKey is the parsed form, in
// which keys are compared, and its String the lower-case form, in which they are stored. A signature is verified
// over the fields as they were sent, so the text builders take keys as text.
//
// For encryption the same pair is converted to X25519 (see PublicKey.Check for the keys that are refused). A
// PublicKey is only 32 bytes until Verify, NewBox, SealAnonymous or Check has looked at its point: routing to an
// address needs no more. Code that stores a key, at enrollment or in a hello, calls Check or has verified a
// signature by it.
//
// # What each construction gives
//
//   - Sign, Verify: who wrote exactly these bytes. Texts of different kinds cannot be mistaken for one another, nor
//     their fields moved; see HelloText for the rule. Not given: freshness. Whoever verifies compares
//     the time with its clock, and remembers what must not come twice within what it allows either way.
//   - Box (direct messages): only the two keys of the pair can read or make the message, and the broker neither.
//     Not given: proof to others of who of the two wrote it (either could have), forward secrecy (a stolen key
//     opens what was recorded), freshness (the broker can deliver a box again; nonces tell), and length, time and
//     addresses are in plain sight.
//   - Multicast: readable by all who hold the mesh root key, that is everyone who ever had an invite, and not by a
//     broker that was never given one. Inside is a signature, so a member cannot speak as another, nor pass on
//     another's words to another target, mesh, or under another nonce. Not given: exclusion of members who left
//     or are in no group the target names, forward secrecy, freshness.
//   - PlainEnvelope: nothing. It is how old peers speak to more than one recipient, and must be shown as such.
//   - SealSecret (file bodies, vault values): whoever lacks the key can neither read nor alter the data. Who made
//     it, and whether it is the latest, is not said.
//   - StreamWriter, StreamReader (file bodies of any size): the same, part by part: what has been read is authentic, and all of
//     it is there once the reader has come to the end. Not given: that a ciphertext opens under one key only.
//   - SealAnonymous (wrapping those keys): only the recipient can open it. Anyone could have made it.
//   - AuditLink: that an entry of the audit log, and all before it, are those that were there when its hash was noted. Not
//     given: that the log is complete at its end, which a checkpoint kept elsewhere shows.
//   - Invite: the owner key it names signed all its fields. Whether that key owns the mesh, and whether the invite
//     was revoked or used up, the broker knows. An invite carries the mesh root key and is as secret as it.
//
// # Secrets
//
// PrivateKey, Box and Multicast show theirs by no verb of fmt, in no log and no encoding; PrivateKey.Hex alone gives
// it out. An Invite prints without its root key, but its JSON and token hold it. No error holds a secret, and none a
// link beyond its first 40 characters. What is decoded from the outside is bounded by MaxLink where it is a link,
// token or payload; the rest costs memory in proportion to its length, which the frame limit of the caller bounds.
package seal
