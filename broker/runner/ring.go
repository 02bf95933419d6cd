package runner

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"claudemesh/wire"
)

const (
	keptLines = wire.MaxServiceLog
	maxRead   = 16 << 10 // bytes of a line that are looked at
	minSecret = 8        // bytes of a value that is kept out of the log
)

// A ring keeps the last lines of a service's log.
type ring struct {
	mu      sync.Mutex
	lines   []string // the line of number n is at n modulo keptLines
	last    int64    // number of the last line
	count   int      // lines that there are
	secrets *strings.Replacer
}

// newRing returns an empty ring whose first line has the number after base.
func newRing(base int64) *ring {
	return &ring{lines: make([]string, keptLines), last: base, secrets: strings.NewReplacer()}
}

// hide has values replaced from now on wherever they are in a line or an error.
func (g *ring) hide(values []string) {
	var hidden []string
	for _, v := range values {
		for line := range strings.Lines(v) { // no line of the log has more than one
			hidden = append(hidden, strings.TrimSpace(line))
		}
		hidden = append(hidden, v)
	}
	hidden = slices.DeleteFunc(hidden, func(v string) bool { return len(v) < minSecret })
	slices.SortFunc(hidden, func(a, b string) int { return len(b) - len(a) }) // of two at one place the longer
	var pairs []string
	for _, v := range hidden {
		pairs = append(pairs, v, "[redacted]")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secrets = strings.NewReplacer(pairs...)
}

// redact returns a text without the values that are hidden.
func (g *ring) redact(text string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.secrets.Replace(text)
}

// colours are what programs write for terminals.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]")

// add adds a line.
func (g *ring) add(prefix, line string) {
	line = strings.ToValidUTF8(line, "\uFFFD")
	if strings.ContainsRune(line, '\x1b') {
		line = colours.ReplaceAllString(line, "")
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	g.mu.Lock()
	defer g.mu.Unlock()
	line = prefix + g.secrets.Replace(line)
	if len(line) > wire.MaxLogLine {
		line = strings.ToValidUTF8(line[:wire.MaxLogLine-len("…")], "") + "…"
	}
	g.last++
	g.lines[g.last%keptLines] = line
	g.count = min(g.count+1, keptLines)
}

// note adds a line of the broker's own.
func (g *ring) note(format string, args ...any) {
	g.add("[broker] ", fmt.Sprintf(format, args...))
}

// read returns up to n lines, and the number of the last of them: the last
// there are if after is 0, else the first after that number.
func (g *ring) read(n int, after int64) ([]string, int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, g.count))
	first := g.last - int64(g.count) // the number before the first that there is
	if after > 0 {
		first = min(max(first, after), g.last)
		n = min(n, int(g.last-first))
	} else {
		first = g.last - int64(n)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = g.lines[(first+int64(i)+1)%keptLines]
	}
	return out, first + int64(n)
}

// lineWriter adds what is written to it to a ring, line by line. It is for one
// goroutine at a time.
type lineWriter struct {
	ring   *ring
	prefix string
	whole  bool   // each Write ends a line
	part   []byte // of the line under way
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		w.part = append(w.part, line[:min(len(line), maxRead-len(w.part))]...)
		if whole {
			w.flush()
		}
		rest = after
	}
	if w.whole {
		w.flush()
	}
	return len(p), nil
}

// flush adds the line under way as it is.
func (w *lineWriter) flush() {
	if line := strings.TrimRight(string(w.part), "\r \t"); line != "" {
		w.ring.add(w.prefix, line)
	}
	w.part = w.part[:0]
}
