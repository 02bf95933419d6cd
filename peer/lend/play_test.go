package lend

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"claudemesh/peer"
)

// playing names, in the environment, the server that this binary plays instead
// of running tests.
const playing = "LEND_TEST_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(playing); name != "" {
		play(name)
		return
	}
	os.Exit(m.Run())
}

// play is a server as others write them, or a bad one.
func play(name string) {
	switch name {
	case "exits":
		fmt.Fprintln(os.Stderr, "no such database")
		os.Exit(3)
	case "floods":
		junk := strings.Repeat("x", 64<<10)
		for {
			if _, err := os.Stdout.WriteString(junk); err != nil {
				return
			}
		}
	case "chatters":
		for line := strings.Repeat("y", 32<<10) + "\n"; ; {
			if _, err := os.Stdout.WriteString(line); err != nil {
				return
			}
		}
	case "silent":
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		}
	case "deaf":
		time.Sleep(time.Hour)
	case "host":
		host()
	default:
		mcpserver.ServeStdio(goodServer())
	}
}

// goodServer has a tool for each thing that a server may do.
func goodServer() *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer("test", "1", mcpserver.WithToolCapabilities(true))
	add := func(name string, do func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error)) {
		s.AddTool(mcp.NewTool(name, mcp.WithDescription("does "+name), mcp.WithString("text")), do)
	}
	add("echo", func(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(req.GetString("text", "")), nil
	})
	add("picture", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res := mcp.NewToolResultImage("see", "aGk=", "image/png")
		res.StructuredContent, res.IsError = map[string]any{"n": 1}, true
		return res, nil
	})
	add("environment", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(strings.Join(os.Environ(), "\n")), nil
	})
	add("pid", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(strconv.Itoa(os.Getpid()) + " " + strconv.Itoa(child.Process.Pid)), nil
	})
	add("large", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(strings.Repeat("x", 3<<20)), nil
	})
	add("huge", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(strings.Repeat("x", 50<<20)), nil
	})
	add("hang", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	add("die", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		fmt.Fprintln(os.Stderr, "out of luck")
		os.Exit(1)
		return nil, nil
	})
	add("change", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		add("new", nil)
		return mcp.NewToolResultText("changed"), nil
	})
	return s
}

// host plays a host that lends a server and prints the process ids of that.
func host() {
	l := New(func(string) (peer.ToolServer, bool, error) {
		return peer.ToolServer{Command: os.Args[0], Env: map[string]string{playing: "good"}}, true, nil
	}, slog.New(slog.DiscardHandler), nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := l.Call(ctx, "good", "pid", nil)
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(string(v) + "\n")
	<-ctx.Done()
}
