// Package tools is the MCP server of a session: it speaks MCP with the host
// program on stdin and stdout and holds the session's connections to all of its
// meshes.
//
// # Shape
//
// A link is the MCP connection; it answers the handshake and the list of tools
// without any broker. The hub holds a connection per mesh of the configuration
// and follows the configuration as it changes. The post is the one inbox over
// all of them: it knows which messages the model has not seen, and what was
// tried with each. The tools are one table; a feature is one file and its lines
// there. Prompts and resources come from providers, each with its line too.
//
// # How mail reaches the model
//
// A message goes by one pushing way at a time. Those that ask (a waiter that
// starts a turn, the hooks, the end of a tool's result) get what is free; those
// that are asked by nobody (the channel, the host's messaging socket) are
// pushed when it comes. A way that was confirmed makes the message seen, and
// only then is the broker told. What a way took and did not confirm within
// confirmTime is free again, marked as possibly shown before; a channel never
// confirms anything. What a waiter gives a host in the midst of a turn waits in the
// host, and is seen when the next hook tells that the turn went on. What the hook of
// a session's start gives waits in the host too, until the first turn; it is in a
// peer.StartMail, because the server mostly comes up after that hook. Whoever asks
// for mail outright gets all of it.
//
// # Locks
//
// hub.mu, then post.mu. Neither is held while waiting or writing.
package tools
