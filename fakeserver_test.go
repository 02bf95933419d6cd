package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// fakeServer is the main function of the program "fakeserver": an MCP server
// that has one tool, echo, and writes what it is sent to the file that its
// first argument names, a method a line. Its further arguments make it
//
//	modern    offer the revision of MCP that has no unsolicited notifications
//	channel   have the capability of channels, and send one with each tool call
//	grow      say with each tool call that its tools have changed
func fakeServer() int {
	journal, err := os.OpenFile(os.Args[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer journal.Close()
	is := func(what string) bool { return slices.Contains(os.Args[2:], what) }
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var m rpcMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Fprintln(journal, m.Method, string(m.ID))
		if m.Method == "tools/call" && is("channel") {
			out.Encode(rpcMessage{JSONRPC: "2.0", Method: "notifications/claude/channel", Params: json.RawMessage(`{"content": "by channel", "meta": {"from": "bob", "a-b": "x"}}`)})
			out.Encode(rpcMessage{JSONRPC: "2.0", Method: "notifications/claude/channel", Params: json.RawMessage(`{"content": "void", "meta": {"n": 1}}`)})
		}
		if m.Method == "tools/call" && is("grow") {
			out.Encode(rpcMessage{JSONRPC: "2.0", Method: "notifications/tools/list_changed"})
		}
		if len(m.ID) > 0 && m.Method != "" {
			out.Encode(fakeAnswer(m, is))
		}
	}
	return 0
}

func fakeAnswer(m rpcMessage, is func(string) bool) rpcMessage {
	a := rpcMessage{JSONRPC: "2.0", ID: m.ID}
	switch m.Method {
	case "server/discover":
		if is("modern") {
			a.Result = json.RawMessage(`{"supportedVersions": ["2025-11-25", "2026-07-28"]}`)
			return a
		}
	case "initialize":
		a.Result = json.RawMessage(`{"protocolVersion": "2025-11-25", "serverInfo": {"name": "s", "version": "1"}, "instructions": "Be kind.", "capabilities": {"tools": {}}}`)
		if is("channel") {
			a.Result = json.RawMessage(`{"protocolVersion": "2025-11-25", "serverInfo": {"name": "s", "version": "1"}, "capabilities": {"tools": {}, "experimental": {"claude/channel": {}}}}`)
		}
		return a
	case "tools/list":
		a.Result = json.RawMessage(`{"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}`)
		return a
	case "tools/call":
		var p struct{ Arguments struct{ Say string } }
		json.Unmarshal(m.Params, &p)
		a.Result, _ = json.Marshal(map[string]any{"content": []any{map[string]any{"type": "text", "text": p.Arguments.Say}}})
		return a
	}
	a.Error = &rpcError{-32601, "Method not found"}
	return a
}
