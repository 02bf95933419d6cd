package simulate

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"time"

	"claudemesh/peer/cli"
)

// JSON returns the report as indented JSON.
func (rep *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(rep)
	return b.Bytes(), err
}

//go:embed report.html.tmpl
var page string

// HTML returns the report as a page that needs nothing else: it has no scripts,
// loads nothing, and shows what personas wrote as text.
func (rep *Report) HTML() ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"micros": micros, "clean": cli.CleanLine, "date": func(t interface{ Std() time.Time }) string {
			return t.Std().Format("2006-01-02 15:04:05 MST")
		},
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, struct {
		*Report
		Rate, Delay, Spread chart
		Matrix              matrix
	}{rep, rep.rateChart(), rep.delayChart(), rep.spreadChart(), rep.matrix()}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// The size of a chart, and what is left of and below its bars, in pixels.
const (
	chartWidth  = 560
	chartHeight = 180
	chartLeft   = 68
	chartBelow  = 22
	maxBars     = 280
)

// A chart is bars side by side, drawn as SVG.
type chart struct {
	Width, Height int
	Title         string
	Bars          []chartBar
	Marks         []chartMark // of the vertical axis
	Labels        []chartMark // of the horizontal axis
}

// A chartBar is a rectangle with what is said of it.
type chartBar struct {
	X, Y, W, H float64
	Says       string
}

type chartMark struct {
	X, Y float64
	Text string
}

// value is what a bar shows.
type value struct {
	label, says string
	size        float64
}

// bars draws values, of neighbours the larger where there are too many.
func bars(title string, values []value, unit func(float64) string) chart {
	for len(values) > maxBars {
		values = slices.Collect(func(yield func(value) bool) {
			for pair := range slices.Chunk(values, 2) {
				if !yield(slices.MaxFunc(pair, func(a, b value) int { return int(a.size - b.size) })) {
					return
				}
			}
		})
	}
	c := chart{Width: chartWidth, Height: chartHeight, Title: title}
	top := 0.0
	for _, v := range values {
		top = max(top, v.size)
	}
	if top == 0 {
		return c
	}
	high, wide := float64(chartHeight-chartBelow-10), float64(chartWidth-chartLeft-8)/float64(len(values))
	each := max(1, (len(values)+7)/8)
	for i, v := range values {
		x, h := chartLeft+float64(i)*wide, v.size/top*high
		c.Bars = append(c.Bars, chartBar{x + wide*0.08, 10 + high - h, wide * 0.84, h, v.label + ": " + v.says})
		if i%each == 0 {
			c.Labels = append(c.Labels, chartMark{x + wide/2, chartHeight - 6, v.label})
		}
	}
	for _, share := range []float64{0, 0.5, 1} {
		c.Marks = append(c.Marks, chartMark{chartLeft - 6, 10 + high*(1-share), unit(top * share)})
	}
	return c
}

func whole(f float64) string { return fmt.Sprintf("%.0f", f) }

func (rep *Report) rateChart() chart {
	var values []value
	for _, m := range rep.Timeline {
		values = append(values, value{fmt.Sprint(m.Minute), fmt.Sprintf("%d delivered of %d sent", m.Delivered, m.Sent), float64(m.Delivered)})
	}
	return bars("Deliveries in each simulated minute", values, whole)
}

func (rep *Report) delayChart() chart {
	var values []value
	for _, m := range rep.Timeline {
		values = append(values, value{fmt.Sprint(m.Minute), "p50 " + micros(m.P50) + ", p99 " + micros(m.P99), m.P99})
	}
	return bars("Delay of the slowest 1 % in each minute (push, p99)", values, micros)
}

func (rep *Report) spreadChart() chart {
	var values []value
	for _, l := range rep.Latencies {
		values = append(values, value{micros(l.UpTo), fmt.Sprintf("%d deliveries", l.Count), float64(l.Count)})
	}
	return bars("How long deliveries took, up to …", values, whole)
}

// A matrix shows who was heard by whom: shades of a colour, one row for each
// who speaks and one column for each who hears.
type matrix struct {
	Names         []string
	Cells         []matrixCell
	Rows, Columns []chartMark
	Size, Cell    int
	Grouped       bool // personas of a kind are taken together
}

type matrixCell struct {
	X, Y    int
	Opacity float64
	Says    string
}

const (
	maxMatrix    = 24 // rows
	matrixBefore = 110
	matrixWidth  = 560
)

var numbered = regexp.MustCompile(`-[0-9]+$`)

func (rep *Report) matrix() (m matrix) {
	kind := func(name string) string { return name }
	if len(rep.Personas) > maxMatrix {
		m.Grouped = true
		kind = func(name string) string { return numbered.ReplaceAllString(name, "") }
	}
	for _, p := range rep.Personas {
		if name := kind(p.Name); !slices.Contains(m.Names, name) && len(m.Names) < maxMatrix {
			m.Names = append(m.Names, name)
		}
	}
	most, counts := 1, make(map[[2]int]int)
	for _, t := range rep.Talk {
		at := [2]int{slices.Index(m.Names, kind(t.From)), slices.Index(m.Names, kind(t.To))}
		if at[0] >= 0 && at[1] >= 0 {
			counts[at] += t.Messages
			most = max(most, counts[at])
		}
	}
	m.Cell = min(46, (matrixWidth-matrixBefore)/max(1, len(m.Names)))
	m.Size = matrixBefore + m.Cell*len(m.Names) + 4
	for i, name := range m.Names {
		middle := float64(matrixBefore + i*m.Cell + m.Cell/2)
		m.Rows = append(m.Rows, chartMark{matrixBefore - 6, middle + 4, name})
		m.Columns = append(m.Columns, chartMark{middle + 4, matrixBefore - 6, name})
		for j, other := range m.Names {
			n := counts[[2]int{i, j}]
			cell := matrixCell{matrixBefore + j*m.Cell, matrixBefore + i*m.Cell, 0.06, fmt.Sprintf("%s → %s: %d", name, other, n)}
			if n > 0 {
				cell.Opacity = 0.2 + 0.8*float64(n)/float64(most)
			}
			m.Cells = append(m.Cells, cell)
		}
	}
	return m
}

// Inner is how large the coloured part of a cell is.
func (m matrix) Inner() int { return max(1, m.Cell-2) }
