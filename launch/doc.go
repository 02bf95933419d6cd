// Package launch is all of claudemesh that touches the host program, the
// coding agent that a user works with: it starts it as a peer of a mesh, puts
// the MCP server and the hooks into its settings and takes them out again, and
// is what those hooks run.
//
// # Files of others
//
// The settings of a host program belong to the user and to that program. They
// are changed in one way only (file.go): under a lock, from a fresh reading, by
// a temporary file that is renamed, keeping the mode. The change is made in the
// text of the file (jsonedit.go, jsontree.go), so that whatever is not ours
// stays as it is to the byte: order, blanks, numbers. A file that does not
// parse is never written.
//
// Each change is written down with what it replaced (journal.go), and undoing
// is going through those notes backwards.
//
// # Hooks
//
// A hook runs in the user's turn. It says nothing when something is wrong, takes
// 1.5 s at most and exits 0. What a hook prints has been shown: only text
// that the session's inbox has handed out for it is printed.
//
// # Closed sessions
//
// A session that was launched for it is kept while it is closed (keeper.go,
// keep.go): one process, the holder of a lock in the session's directory, is
// connected in its place and acknowledges nothing. For mail it lets go of the
// connection and runs the host in print mode (wake.go), whose own MCP server then
// is the session; which messages the prompt has shown, that server is told by its
// environment. When the run has ended well the keeper connects again, is
// given what is still unseen, and reports what the prompt has shown. So a run
// that fails, and a keeper that dies, lose nothing.
package launch
