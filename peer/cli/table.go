package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Table collects rows and prints them when flushed: on a terminal in aligned
// columns under the header, the last column cut to fit and columns that are
// empty left out; elsewhere one line per row with a tab between cells, no header,
// and nothing cut or left out.
type Table struct {
	p      *Printer
	header []string
	rows   [][]Styled
}

// Table returns an empty table with a heading for each column.
func (p *Printer) Table(header ...string) *Table { return &Table{p: p, header: header} }

// Row adds a row. A cell is what Printf takes as an argument, printed with %v.
func (t *Table) Row(cells ...any) {
	row := make([]Styled, len(cells))
	for i, c := range cells {
		if s, ok := c.(Styled); ok {
			row[i] = Styled{s.Style, CleanLine(s.Text)}
			continue
		}
		row[i] = Styled{Plain, fmt.Sprint(t.p.argument(c))}
	}
	t.rows = append(t.rows, row)
}

// Flush prints the rows; without rows it prints nothing.
func (t *Table) Flush() {
	if len(t.rows) == 0 {
		return
	}
	if !t.p.terminal {
		for _, row := range t.rows {
			cells := make([]string, len(row))
			for i, c := range row {
				cells[i] = c.Text
			}
			t.p.raw(strings.Join(cells, "\t") + "\n")
		}
		return
	}
	head := make([]Styled, len(t.header))
	for i, h := range t.header {
		head[i] = Styled{Dim, h}
	}
	rows := withoutEmpty(append([][]Styled{head}, t.rows...))
	widths := columnWidths(rows)
	for _, row := range rows {
		t.p.raw(t.line(row, widths))
	}
}

// withoutEmpty leaves out the columns that have nothing but their heading.
func withoutEmpty(rows [][]Styled) [][]Styled {
	out := make([][]Styled, len(rows))
	for i := range rows[0] {
		if !slices.ContainsFunc(rows[1:], func(row []Styled) bool { return row[i].Text != "" }) {
			continue
		}
		for r := range rows {
			out[r] = append(out[r], rows[r][i])
		}
	}
	return out
}

func columnWidths(rows [][]Styled) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], displayWidth(c.Text))
		}
	}
	return widths
}

func (t *Table) line(row []Styled, widths []int) string {
	const gap = 2
	var b strings.Builder
	used := 0
	for i, c := range row {
		if i == len(row)-1 {
			b.WriteString(t.p.style(c.Style, cut(c.Text, t.p.width, used)))
			break
		}
		b.WriteString(t.p.style(c.Style, c.Text))
		b.WriteString(strings.Repeat(" ", widths[i]-displayWidth(c.Text)+gap))
		used += widths[i] + gap
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// cut shortens text so that it ends within the width when it starts at column
// used. It leaves at least minCell columns: a line that wraps is better than a
// text that is gone.
func cut(text string, width, used int) string {
	const minCell = 16
	room := max(width-used, minCell)
	if width == 0 || displayWidth(text) <= room {
		return text
	}
	n := 0
	for i, r := range text {
		n += runeWidth(r)
		if n > room-1 {
			return text[:i] + "…"
		}
	}
	return text
}

func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth returns the columns a terminal gives r: none to marks and joiners,
// two to the wide blocks of Unicode (UAX 11, East Asian Width W and F) and to
// emoji.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf && r != 0x303f, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6ff, r >= 0x1f900 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
