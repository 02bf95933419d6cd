package cli

import "fmt"

// A Picture is some lines at the end of a terminal that are drawn again in
// their place.
type Picture struct {
	out   *Printer
	drawn int // lines that are there
}

// Picture returns a picture to draw on p, nil if p is no terminal that can move
// its cursor.
func (p *Printer) Picture() *Picture {
	if !p.terminal || p.dumb {
		return nil
	}
	return &Picture{out: p}
}

// Draw replaces the picture. A line that is longer than the terminal is wide is
// cut, so that each takes one row; there should be no more than 20.
func (pic *Picture) Draw(lines []Styled) {
	if pic.drawn > 0 {
		pic.out.raw(fmt.Sprintf("\x1b[%dA\x1b[J", pic.drawn))
	}
	for _, l := range lines {
		pic.out.raw(pic.out.style(l.Style, cut(CleanLine(l.Text), pic.out.width, 1)) + "\n")
	}
	pic.drawn = len(lines)
}
