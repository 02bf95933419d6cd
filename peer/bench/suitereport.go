package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"claudemesh/peer/cli"
)

// A SuiteReport is what the suite measured.
type SuiteReport struct {
	Machine Machine `json:"machine"`
	Rounds  int     `json:"rounds"`
	Rows    []Row   `json:"rows"`
	// Missing are programs that would have been measured beside the broker.
	Missing []string `json:"missing,omitempty"`
	// Series are the figures round by round, by name.
	Series series `json:"series"`
}

// runSuite measures and prints the table.
func runSuite(ctx context.Context, env *cli.Env, set *settings) error {
	if set.broker != "" {
		return cli.Usagef("--suite measures a broker of its own: leave --broker away")
	}
	if set.rounds < 0 || set.idle < 0 || set.rounds == 0 && set.idle == 0 {
		return cli.Usagef("--rounds and --idle cannot be negative, nor both be 0")
	}
	var stage atomic.Pointer[string]
	say := func(format string, args ...any) {
		s := fmt.Sprintf(format, args...)
		stage.Store(&s)
	}
	say("preparing")
	done := env.ProgressOf(func() string { return *stage.Load() })
	defer done()
	su := &suite{dir: set.dir, rounds: set.rounds, idle: Reachable(set.idle), series: make(series), pace: fullPace(), stage: say}
	if set.quick {
		su.pace = quickPace()
	}
	if su.idle < set.idle {
		done()
		env.Err().Printf("this process may open too few files for %d connections: measuring %d (see ulimit -n)\n", set.idle, su.idle)
		done = env.ProgressOf(func() string { return *stage.Load() })
	}
	err := su.run(ctx)
	done()
	if err != nil && len(su.faults) == 0 {
		return err
	}
	dir := set.dir
	if dir == "" {
		dir = os.TempDir()
	}
	dir, absErr := filepath.Abs(dir)
	report := &SuiteReport{Machine: thisMachine(dir), Rounds: su.rounds, Rows: su.series.rows(figures(&su.pace, su.idle)), Series: su.series}
	if su.rivals.redis == nil {
		report.Missing = append(report.Missing, redisProgram)
	}
	if su.rivals.nats == nil {
		report.Missing = append(report.Missing, natsProgram)
	}
	return errors.Join(err, absErr, report.print(env, set.markdown))
}

func (r *SuiteReport) print(env *cli.Env, markdown bool) error {
	out := env.Out()
	switch {
	case env.JSON:
		return out.JSON(r)
	case markdown:
		out.Text(r.markdown())
		return nil
	}
	out.Printf("%s; medians of %d rounds\n", r.Machine, r.Rounds)
	t := out.Table("FIGURE", "MEASURED", "LIMIT", "RATIO", "GOAL", "STRETCH", "REACHED", "AGAINST")
	for _, row := range r.Rows {
		t.Row(row.Figure, row.measured(), row.limit(), row.ratio(), row.Goal, row.Stretch, mark(row.Reached), row.Against)
	}
	t.Flush()
	for _, m := range r.Missing {
		env.Err().Printf("%s is not in PATH and was not measured\n", m)
	}
	return nil
}

func mark(reached string) cli.Styled {
	switch reached {
	case "stretch", "goal":
		return cli.Styled{Style: cli.Green, Text: reached}
	}
	return cli.Styled{Style: cli.Yellow, Text: reached}
}

// markdown returns the table as docs/PERFORMANCE.md has it.
func (r *SuiteReport) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; medians of %s.\n\n", r.Machine, plural(r.Rounds, "round"))
	b.WriteString("| what | measured | held against | limit | ratio | goal | stretch | reached |\n|---|--:|---|--:|--:|--:|--:|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
			row.Figure, row.measured(), row.Against, row.limit(), row.ratio(), row.Goal, row.Stretch, row.Reached)
	}
	return b.String()
}

func (r *Row) measured() string { return number(r.Measured) + " " + r.Unit }

func (r *Row) limit() string {
	if r.Against == "" {
		return ""
	}
	return number(r.Limit) + " " + r.Unit
}

func (r *Row) ratio() string {
	if r.Against == "" {
		return ""
	}
	return fmt.Sprintf("%.2f", r.Ratio)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
