package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrorsBecomeMessagesAndCodes(t *testing.T) {
	broken := errors.New("the broker\nsaid \x1b[31mno")
	for name, tt := range map[string]struct {
		err    error
		code   int
		stderr string
	}{
		"success":    {nil, 0, ""},
		"failure":    {broken, 1, "claudemesh: the broker said \ufffd[31mno\n"},
		"hint":       {WithHint(broken, "ask %s", "Ada"), 1, "claudemesh: the broker said \ufffd[31mno\nhint: ask Ada\n"},
		"usage":      {Usagef("no such day"), 2, "claudemesh: no such day\nusage: claudemesh fail\nrun `claudemesh fail --help` for help\n"},
		"exit code":  {fmt.Errorf("host: %w", ExitCode(7)), 7, ""},
		"own cancel": {fmt.Errorf("dial: %w", context.Canceled), 1, "claudemesh: dial: context canceled\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			fail := Command{Name: "fail", Run: func(context.Context, *Env, []string) error { return tt.err }}
			if code := f.run(t, []Command{fail}, "fail"); code != tt.code || f.stderr.String() != tt.stderr {
				t.Errorf("exit %d, %q; want %d, %q", code, &f.stderr, tt.code, tt.stderr)
			}
		})
	}
	if WithHint(nil, "x") != nil {
		t.Error("a hint makes an error of none")
	}
}

func TestInterruptionIsNamed(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	wait := Command{Name: "wait", Run: func(ctx context.Context, _ *Env, _ []string) error {
		cancel()
		return fmt.Errorf("dial: %w", ctx.Err())
	}}
	f.Args = []string{"wait"}
	if code := Main(ctx, f.Env, []Command{wait}); code != 1 || f.stderr.String() != "claudemesh: interrupted\n" {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputThatCannotBeWrittenFails(t *testing.T) {
	f := newFixture(t)
	f.Stdout = full{}
	if code := f.run(t, nil, "version"); code != 1 || !strings.Contains(f.stderr.String(), "no space left") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}
