// Package runner keeps the deployed services of a mesh running: MCP servers
// that a member has given to the broker. It has them built and confined by
// others, speaks with them, watches over them, and tells what becomes of them.
// Whose a service is, and who may call it, it does not know.
//
// A service is a directory below that of the mesh:
//
//	services/<name>/installed   what is started: the build and its arguments; written last, at once
//	services/<name>/build-<n>/  the program, which it cannot change
//	services/<name>/home, tmp   what it can change, kept until it is removed
//	services/<name>/secrets     the files of its environment, while it runs
//
// What happens to one service happens in turn: each of Deploy, Resume, Update of
// one that does not run, Stop and Remove begins a life, whose goroutine waits
// until the one before it has ended. Within a life one goroutine owns the
// process and is the only one to tell of it, so that events come in the order of
// what happened. No lock is held while an Event is told, a program is waited for
// or a call is under way.
package runner
