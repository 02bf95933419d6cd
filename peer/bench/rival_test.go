package bench

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// fed returns a publisher that reads text.
func fed(t *testing.T, text string) *publisher {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	go io.Copy(io.Discard, far) // ends with the pipe
	return &publisher{conn: near, r: bufio.NewReaderSize(strings.NewReader(text), 64)}
}

func TestRedisReplyTakesIDsOnly(t *testing.T) {
	for text, ok := range map[string]bool{
		"$15\r\n1700000000000-0\r\n": true,
		"-ERR unknown command\r\n":   false,
		"$-1\r\n":                    false,
		"$15\r\n":                    false,
		"\n":                         false,
		"":                           false,
	} {
		if err := redisReply(fed(t, text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNATSMessageIsFoundAmongOtherLines(t *testing.T) {
	for text, want := range map[string]string{
		"MSG _INBOX.1 1 5\r\nhello\r\n":                      "hello",
		"PING\r\n+OK\r\nMSG _INBOX.1 1 _INBOX.2 2\r\nok\r\n": "ok",
	} {
		if got, err := natsMessage(fed(t, text)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MSG a 1 x\r\n", "MSG a 1 -1\r\n", "MSG a 1 999999999\r\n", "MSG a 1 5\r\nhel", "-ERR 'no'\r\n"} {
		if got, err := natsMessage(fed(t, text)); err == nil {
			t.Errorf("%q: took %q", text, got)
		}
	}
}
