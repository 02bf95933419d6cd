package toolserver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// play is a server that was written by hand, with a habit of its own.
func play(name string) {
	switch name {
	case "exits":
		fmt.Fprintln(os.Stderr, "no such database")
		os.Exit(3)
	case "quiet":
		os.Exit(3)
	case "floods":
		for line := strings.Repeat("y", 1000) + "\n"; ; {
			if _, err := os.Stderr.WriteString(line); err != nil {
				return
			}
		}
	case "silent":
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		}
	case "tidy", "stubborn":
		ask := make(chan os.Signal, 1)
		signal.Notify(ask, syscall.SIGTERM)
		serve()
		for range ask {
			if name == "tidy" {
				fmt.Fprintln(os.Stderr, "tidied up")
				return
			}
		}
	case "chatty":
		fmt.Println("listening")
		fmt.Fprintln(os.Stderr, "warning: old")
		serve()
	}
}

// serve answers requests until there are no more.
func serve() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var req struct {
			ID     json.RawMessage
			Method string
			Params struct{ Cursor string }
		}
		if json.Unmarshal(in.Bytes(), &req) != nil || req.ID == nil {
			continue
		}
		answer := func(field, value string) { fmt.Printf(`{"jsonrpc":"2.0","id":%s,%q:%s}`+"\n", req.ID, field, value) }
		switch req.Method {
		case "initialize":
			fmt.Println("[INFO] ready")
			answer("result", `{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}`)
		case "tools/list":
			if req.Params.Cursor == "" {
				answer("result", `{"tools":[{"name":"a","inputSchema":{"type":"object"}}],"nextCursor":"2"}`)
				continue
			}
			fmt.Println("{not json")
			answer("result", `{"tools":[{"name":"b","inputSchema":{"type":"object"}}]}`)
		case "tools/call":
			fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			answer("result", `{"content":[],"extra":"<kept>"}`)
		default:
			answer("error", `{"code":-32601,"message":"method not found"}`)
		}
	}
}
