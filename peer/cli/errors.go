package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"claudemesh/wire"
)

// HintError is an error with a hint at what the user can do about it, which is
// printed on a line of its own.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *HintError) Unwrap() error { return e.Err }

// WithHint returns err with a hint, and nil if err is nil.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &HintError{err, fmt.Sprintf(format, args...)}
}

// ExitCode is an error that only sets the exit code: all there is to say has
// been printed.
type ExitCode int

func (c ExitCode) Error() string { return "exit code " + strconv.Itoa(int(c)) }

// usageError says that the command line cannot be understood.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// Usagef returns an error in the command line, for what the check of
// Command.Args and the flags' types cannot find. It shows the usage and makes
// the exit code 2.
func Usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// report prints err and returns the exit code. inv is nil where parsing failed
// before a command was found.
func report(ctx context.Context, env *Env, inv *invocation, err error) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[ExitCode](err); ok {
		return int(code)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	env.Err().Printf("%s: %s\n", program, strings.TrimSpace(plainError(err)))
	if hint, ok := errors.AsType[*HintError](err); ok {
		env.Err().Printf("hint: %s\n", hint.Hint)
	}
	if _, ok := errors.AsType[*usageError](err); !ok {
		return 1
	}
	if inv != nil {
		env.Err().Printf("usage: %s\nrun `%s --help` for help\n", usageLine(inv.path), spelling(inv.path))
	}
	return 2
}

// plainError is the text of err for people: the codes of the wire, which are
// for programs, are left out where there are words beside them.
func plainError(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Message != "" {
		text = strings.Replace(text, e.Error(), e.Message, 1)
	}
	return text
}
