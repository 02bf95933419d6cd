// Package lend runs the MCP servers of this machine that a user lends to a
// mesh: programs, which it starts, and HTTP endpoints. It hands the calls of
// other members to them and their results back as they are.
//
// Only what the configuration of the user names is run, as a list of arguments
// without a shell, with few variables of the environment and those of the
// entry, in a process group of its own, which ends with the Lender. A server is
// trusted as any program that the user runs; but it must not harm the session:
// what it writes is bounded in lines, in bytes and in time, and one that floods
// or hangs is ended.
package lend
