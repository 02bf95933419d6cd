package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A jsonList prints a JSON array element by element, so that what is printed
// can be acted upon before the end is known.
type jsonList struct {
	p *Printer
	n int
}

func (l *jsonList) add(v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	before := "[\n  "
	if l.n > 0 {
		before = ",\n  "
	}
	l.n++
	l.p.raw(before + string(cleanJSON(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))))
	return nil
}

func (l *jsonList) end() {
	if l.n == 0 {
		l.p.raw("[]\n")
		return
	}
	l.p.raw("\n]\n")
}
