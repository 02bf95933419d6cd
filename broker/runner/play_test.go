//go:build unix

package runner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/wire"
)

// playing is the first argument of this binary where it plays a server instead of
// running tests; its habits follow.
const playing = "play-server"

func TestMain(m *testing.M) {
	confine.Main()
	if len(os.Args) > 1 && os.Args[1] == playing {
		play(os.Args[2:])
		return
	}
	code := m.Run()
	if left := goroutinesLeft(); code == 0 && left != "" {
		fmt.Println("goroutines are left:\n" + left)
		code = 1
	}
	os.Exit(code)
}

// goroutinesLeft returns the goroutines that a Runner has started and that have
// not ended soon after it was closed.
func goroutinesLeft() string {
	var all bytes.Buffer
	for range 6000 { // one that has done its last may need a moment to be gone
		all.Reset()
		pprof.Lookup("goroutine").WriteTo(&all, 1)
		if p := all.String(); !strings.Contains(p, "runner.(*") && !strings.Contains(p, "/toolserver.") && !strings.Contains(p, "mcp-go") {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return all.String()
}

// play is a server with habits.
func play(habits []string) {
	for _, habit := range habits {
		switch habit {
		case "exits":
			fmt.Fprintln(os.Stderr, "API_KEY is not set")
			os.Exit(3)
		case "floods":
			flood(os.Stdout, strings.Repeat("x", 64<<10))
		case "complains":
			flood(os.Stderr, strings.Repeat("y", 32<<10)+"\n")
		case "silent":
			time.Sleep(time.Hour)
		case "stubborn":
			signal.Ignore(syscall.SIGTERM)
			defer time.Sleep(time.Hour)
		case "crowded":
			fmt.Println("listening")
			fmt.Fprintln(os.Stderr, "the key is "+os.Getenv("KEY"))
		}
	}
	answer(strings.Contains(strings.Join(habits, " "), "many"))
}

func flood(f *os.File, junk string) {
	for {
		if _, err := f.WriteString(junk); err != nil {
			os.Exit(1)
		}
	}
}

// answer answers requests until there are no more.
func answer(many bool) {
	tools := `{"name":"echo","inputSchema":{"type":"object"}}`
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var req struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Name      string
				Arguments json.RawMessage
			}
		}
		if json.Unmarshal(in.Bytes(), &req) != nil || req.ID == nil {
			continue
		}
		result := "{}"
		switch req.Method {
		case "initialize":
			result = `{"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"t","version":"1"}}`
		case "tools/list":
			result = `{"tools":[` + tools + `]}`
			if many {
				result = `{"tools":[` + strings.Repeat(tools+",", 300) + tools + `]}`
			}
		case "tools/call":
			if result = perform(req.Params.Name, req.Params.Arguments, &tools); result == "" {
				continue
			}
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", req.ID, result)
	}
}

// perform performs a tool and returns its result, empty if there is none.
func perform(name string, args json.RawMessage, tools *string) string {
	text := string(args)
	switch name {
	case "environment":
		text = strings.Join(os.Environ(), "\n")
	case "read":
		p, err := os.ReadFile(os.Getenv("FILE"))
		text = fmt.Sprint(string(p), err)
	case "write":
		err := os.WriteFile("scribble", nil, 0o600)
		text = fmt.Sprint(err)
	case "home": // is what the first two arguments after its part name
		home := os.Getenv("HOME")
		err := os.WriteFile(filepath.Join(home, "db"), nil, 0o600)
		if args := os.Args[2:]; args[0] != home || args[1] != "--db="+home+"/db" {
			err = fmt.Errorf("%q with %s", args, home)
		}
		text = fmt.Sprint(err)
	case "gobble":
		var all [][]byte
		for range 64 {
			all = append(all, bytes.Repeat([]byte("x"), 16<<20))
		}
		text = strconv.Itoa(len(all))
	case "escape": // out of the group, and of the care of who started it
		child := exec.Command("sleep", "1000")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		text = fmt.Sprint(child.Start())
	case "huge":
		return xs(50 << 20)
	case "large":
		return xs(wire.MaxCallResult)
	case "hang":
		return ""
	case "change":
		*tools += `,{"name":"new","inputSchema":{"type":"object"}}`
		fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	case "die":
		fmt.Fprintln(os.Stderr, "out of luck")
		os.Exit(1)
	case "children":
		child := exec.Command("sleep", "1000")
		child.Stdout = os.Stdout // which it holds open
		if err := child.Start(); err != nil {
			text = err.Error()
			break
		}
		text = strconv.Itoa(os.Getpid()) + " " + strconv.Itoa(child.Process.Pid)
	}
	p, _ := json.Marshal(text)
	return `{"content":[{"type":"text","text":` + string(p) + `}]}`
}

// xs is a result of so many letters. It is made without looking at each, which takes
// long with the race detector on a machine that is at work.
func xs(n int) string {
	return `{"content":[{"type":"text","text":"` + strings.Repeat("x", n) + `"}]}`
}
