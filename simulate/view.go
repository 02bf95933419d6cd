package simulate

import (
	"fmt"
	"strings"

	"claudemesh/peer/cli"
)

// A view shows people how a run goes: at a terminal a picture that is drawn
// again in its place, elsewhere a line for each minute.
type view struct {
	out     *cli.Printer
	picture *cli.Picture // nil where there can be none
	last    Minutes
	name    string
}

func newView(env *cli.Env, s *Scenario) *view {
	return &view{out: env.Out(), picture: env.Out().Picture(), last: -1, name: s.Name}
}

// show is Options.Watch.
func (v *view) show(s *Snapshot) {
	if v.picture != nil {
		v.picture.Draw(v.lines(s))
		return
	}
	if s.Minute > v.last || s.Ended {
		v.last = s.Minute
		v.out.Printf("minute %d of %d: %d sent, %d delivered, push %s\n", int(s.Minute), int(s.Duration), s.Sent, s.Arrived, s.Push)
	}
}

// lines are the picture of a moment.
func (v *view) lines(s *Snapshot) (lines []cli.Styled) {
	line := func(style cli.Style, format string, args ...any) {
		lines = append(lines, cli.Styled{Style: style, Text: fmt.Sprintf(format, args...)})
	}
	line(cli.Bold, "%s  minute %d of %d  %s", v.name, int(s.Minute), int(s.Duration), bar(int(s.Minute), int(s.Duration), 24))
	line(cli.Plain, "%d sent, %d delivered, %d under way, %.0f/s   push %s", s.Sent, s.Arrived, s.Due, s.Rate, s.Push)
	if s.Running > 0 {
		line(cli.Yellow, "%d commands running", s.Running)
	}
	line(cli.Dim, "who talks to whom")
	most := 1
	for _, t := range s.Talk {
		most = max(most, t.Messages)
	}
	for _, t := range s.Talk {
		line(cli.Plain, "  %-16s → %-16s %5d %s", t.From, t.To, t.Messages, strings.Repeat("▇", max(1, t.Messages*20/most)))
	}
	line(cli.Dim, "last")
	for _, m := range s.Last {
		line(cli.Plain, "  %s → %s  %s", m.From, m.To, m.Text)
	}
	return lines
}

// bar draws how much of a whole is done.
func bar(done, of, width int) string {
	n := min(width, done*width/max(1, of))
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

// printResult says what came of a run.
func printResult(env *cli.Env, rep *Report, files []string) {
	out, t := env.Out(), rep.Totals
	out.Printf("\n%s: %d of %d simulated minutes in %.1f s, %d personas, seed %d\n",
		cli.Styled{Style: cli.Bold, Text: rep.Scenario}, rep.Minutes, rep.Duration, rep.Seconds, len(rep.Personas), rep.Seed)
	out.Printf("  messages  %d sent, %d of %d delivered, %d seen\n", t.Sent, t.Delivered, t.Expected, t.Seen)
	out.Printf("  ack       %s\n", rep.Ack)
	out.Printf("  push      %s\n", rep.Push)
	for _, e := range rep.Expect {
		mark := cli.Styled{Style: cli.Green, Text: "✓"}
		if !e.OK {
			mark = cli.Styled{Style: cli.Red, Text: "✗"}
		}
		out.Printf("%s %s  %s\n", mark, e.Name, cli.Styled{Style: cli.Dim, Text: e.Found})
	}
	for _, n := range rep.Notes {
		out.Printf("%s %s\n", cli.Styled{Style: cli.Yellow, Text: "note:"}, n)
	}
	for _, f := range files {
		out.Printf("report: %s\n", f)
	}
}
