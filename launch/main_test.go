package launch

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// roleVariable makes the test program, when it is started by a test, play
// another.
const roleVariable = "LAUNCH_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "server", "lonely server":
		playServer(role == "server")
	case "broken server":
		fmt.Fprintln(os.Stderr, "the parts do not fit")
		os.Exit(1)
	}
}

// playServer is an MCP server whose mesh answers the second time it is asked,
// or never.
func playServer(connects bool) {
	asked := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var m rpcMessage
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		result := `{}`
		switch m.Method {
		case "initialize":
			fmt.Println(`{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
			result = `{"serverInfo":{"name":"claudemesh","version":"7"}}`
		case "tools/list":
			result = `{"tools":[{"name":"a"},{"name":"b"}]}`
		case "tools/call":
			asked++
			result = fmt.Sprintf(`{"isError":%t,"content":[{"type":"text","text":"not connected yet"}]}`, !connects || asked < 2)
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%d,"result":%s}`+"\n", *m.ID, result)
	}
}
