package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"time"

	"claudemesh/wire"

	"golang.org/x/term"
)

// Style is how a piece of text looks on a terminal with colours.
type Style string

// The styles, as the parameter of the terminal's SGR sequence.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Styled is text to be printed in a style: a cell of a table or an argument of
// Printf.
type Styled struct {
	Style Style
	Text  string
}

// Printer writes to a stream as what the stream is asks for: people at a
// terminal get colours, columns and relative times, a pipe gets plain text
// that programs can split. Whatever it is given, it cleans (see Clean). The
// first failure to write is kept and fails the command.
type Printer struct {
	w        io.Writer
	terminal bool
	colour   bool
	dumb     bool // it cannot move its cursor
	width    int  // in columns; 0 is unlimited
	now      func() time.Time
	err      error
}

func newPrinter(env *Env, w io.Writer) *Printer {
	p := &Printer{w: w, terminal: env.IsTerminal(w), now: env.Now, dumb: env.Getenv("TERM") == "dumb"}
	p.colour = p.terminal && env.Getenv("NO_COLOR") == "" && !p.dumb
	if runtime.GOOS == "windows" && env.Getenv("WT_SESSION") == "" && env.Getenv("TERM") == "" {
		p.colour, p.dumb = false, true // the old console shows escape sequences as text
	}
	if p.terminal {
		p.width = columns(env, w)
	}
	return p
}

func columns(env *Env, w io.Writer) int {
	if n, err := strconv.Atoi(env.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// Terminal reports whether a person may be reading.
func (p *Printer) Terminal() bool { return p.terminal }

// Fits reports whether a terminal has at least so many columns and rows. One that
// does not know how large it is has none.
func (p *Printer) Fits(columns, rows int) bool {
	f, ok := p.w.(*os.File)
	if !ok || !p.terminal {
		return false
	}
	c, r, err := term.GetSize(int(f.Fd()))
	return err == nil && c >= columns && r >= rows
}

// Printf prints formatted text. The format is the program's own; of the
// arguments all that is text is held to one line and cleaned, so a name can
// come from anywhere. A time.Time or wire.Time is printed by Time, and a
// Styled in its style. For text of several lines there is Text.
func (p *Printer) Printf(format string, args ...any) {
	safe := make([]any, len(args))
	for i, a := range args {
		safe[i] = p.argument(a)
	}
	p.raw(fmt.Sprintf(format, safe...))
}

// Text prints text of any number of lines, such as the body of a message, and
// a final line break if it has none. In a pipe it is passed on as it is.
func (p *Printer) Text(s string) {
	if p.terminal {
		s = Clean(s)
	}
	if len(s) == 0 || s[len(s)-1] != '\n' {
		s += "\n"
	}
	p.raw(s)
}

// JSON prints v as one indented JSON value and a line break.
func (p *Printer) JSON(v any) error { return p.encode(v, "  ") }

// JSONLine prints v as JSON on one line, for streams of values.
func (p *Printer) JSONLine(v any) error { return p.encode(v, "") }

func (p *Printer) encode(v any, indent string) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	p.raw(string(cleanJSON(buf.Bytes())))
	return nil
}

// raw prints text that is known to be safe.
func (p *Printer) raw(s string) {
	if _, err := io.WriteString(p.w, s); err != nil && p.err == nil {
		p.err = err
	}
}

// id writes an id: on a terminal as much of it as commands need, elsewhere all.
func (p *Printer) id(id string) string {
	if p.terminal {
		return shortID(id)
	}
	return id
}

func (p *Printer) style(s Style, text string) string {
	if !p.colour || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// argument returns what to print for a. Numbers stay what they are, so that
// every verb for them works.
func (p *Printer) argument(a any) any {
	switch v := a.(type) {
	case nil:
		return nil
	case Styled:
		return p.style(v.Style, CleanLine(v.Text))
	case time.Time:
		return p.Time(v)
	case wire.Time:
		return p.Time(v.Std())
	case error:
		return CleanLine(v.Error())
	case fmt.Stringer:
		return CleanLine(v.String())
	}
	v := reflect.ValueOf(a)
	switch {
	case v.Kind() == reflect.Bool, v.CanInt(), v.CanUint(), v.CanFloat():
		return a
	}
	return CleanLine(fmt.Sprint(a))
}
