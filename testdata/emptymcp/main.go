// Command emptymcp is an MCP server without anything: what the start of
// claudemesh mcp is held against.
package main

import (
	"fmt"
	"os"

	"github.com/mark3labs/mcp-go/server"
)

func main() {
	if err := server.ServeStdio(server.NewMCPServer("empty", "1")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
