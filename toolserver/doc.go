// Package toolserver speaks with an MCP server, a program on its standard input
// and output or an HTTP endpoint, for whoever runs or knows one: it makes the
// handshake, lists and calls tools, and hands results on as the server wrote them.
//
// A server may be broken or hostile, and must not harm the program that asks it:
// what it writes is bounded in lines, in bytes and in time, and one that floods
// or does not read is ended, with all that is in its process group.
package toolserver
