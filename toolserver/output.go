package toolserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	maxLine   = 4 << 20  // bytes of one message of a server
	maxMinute = 64 << 20 // bytes that a server may write in a minute, on each of its outputs
	chunk     = 64 << 10 // bytes that are read at once, and kept for the next line
	maxID     = 1 << 10  // bytes of the id of a request
	keptLog   = 2 << 10  // bytes of the standard error that say why a server ended
	saidLines = 4        // of these, that an error has
)

// A meter counts what comes in a minute.
type meter struct {
	since time.Time // when counting began
	count int       // bytes since
}

// add counts n bytes; they may be too many.
func (m *meter) add(n int) error {
	if now := time.Now(); now.Sub(m.since) > time.Minute {
		m.since, m.count = now, 0
	}
	m.count += n
	if m.count > maxMinute {
		return fmt.Errorf("it was ended: it wrote more than %d MiB in a minute", maxMinute>>20)
	}
	return nil
}

// messages is the standard output of a server, less the lines that are no
// messages, and less the requests among them: those it answers itself, before it
// reads on, for the transport would begin as many answers as a server can ask for.
// It ends where a line, or what comes in a minute, is too long.
type messages struct {
	r     *bufio.Reader
	from  io.Closer
	back  io.Writer // takes the answers to requests
	other io.Writer // takes the other lines
	over  func(error)
	line  []byte // the line that was read last
	rest  []byte // of line, to be read
	meter meter
}

func newMessages(from io.ReadCloser, back, other io.Writer, over func(error)) *messages {
	if other == nil {
		other = io.Discard
	}
	return &messages{r: bufio.NewReaderSize(from, chunk), from: from, back: back, other: other, over: over}
}

func (m *messages) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		if err := m.next(); err != nil {
			m.from.Close()
			if !errors.Is(err, io.EOF) {
				m.over(err)
			}
			return 0, io.EOF
		}
		var head struct {
			ID     json.RawMessage
			Method string
		}
		switch begins := bytes.TrimLeft(m.line, " \t"); {
		case !bytes.HasPrefix(begins, []byte("{")) || json.Unmarshal(m.line, &head) != nil:
			m.other.Write(m.line)
		case head.Method != "" && len(head.ID) > 0:
			m.answer(head.ID, head.Method)
		default:
			m.rest = m.line
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// answer answers a request of the server: a ping is all that it may ask.
func (m *messages) answer(id json.RawMessage, method string) {
	outcome := `"error":{"code":-32601,"message":"Method not found"}`
	if method == string(mcp.MethodPing) {
		outcome = `"result":{}`
	}
	if len(id) <= maxID {
		fmt.Fprintf(m.back, `{"jsonrpc":"2.0","id":%s,%s}`+"\n", id, outcome)
	}
}

// next reads a line. What follows the last newline is a line too.
func (m *messages) next() error {
	if cap(m.line) > chunk {
		m.line = nil
	}
	m.line = m.line[:0]
	for {
		part, err := m.r.ReadSlice('\n')
		m.line = append(m.line, part...)
		if err := m.meter.add(len(part)); err != nil {
			return err
		}
		switch {
		case len(m.line) > maxLine:
			return fmt.Errorf("it was ended: it wrote a message of more than %d MiB", maxLine>>20)
		case err == nil:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
		case len(m.line) > 0:
			return nil // the error comes again
		default:
			return io.EOF
		}
	}
}

// A bounded writer hands on what a process writes, until it is too much.
type bounded struct {
	to, also io.Writer // also may be nil
	over     func(error)
	meter    meter
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.meter.add(len(p)); err != nil {
		b.over(err)
		return 0, err
	}
	if b.also != nil {
		b.also.Write(p)
	}
	return b.to.Write(p)
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool // there was more
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = t.cut || len(t.buf)+len(p) > keptLog
	t.buf = append(t.buf, p[max(0, len(p)-keptLog):]...)
	if over := len(t.buf) - keptLog; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// last returns the last lines in one. They are whole: of a secret, a part would not
// be known as one.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := string(t.buf)
	if t.cut {
		_, text, _ = strings.Cut(text, "\n")
	}
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(text, "?")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-saidLines):], " / ")
}
