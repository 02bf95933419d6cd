package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/huh/v2"

	"claudemesh/peer/cli"
)

// What a form needs at least, in columns and rows. In a terminal that says it has
// none, as some do that no person looks at, the library draws without end.
const formColumns, formRows = 20, 6

// formEnd is how long a form has to end by itself after a signal.
const formEnd = 2 * time.Second

// A question is something that launch asks a person.
type question struct {
	title string
	hint  string // shown beside the title; may be empty
	// answer is where the answer goes. What it holds before stands for no answer.
	answer  *string
	options []option // to choose from; none for a free text
	// examples are answers to a free text that are offered.
	examples []string
	// check says what is wrong with a free text; nil takes any.
	check func(string) error
}

// An option is one of the answers to a question.
type option struct{ label, value string }

func (q *question) valid(answer string) error {
	if q.check == nil {
		return nil
	}
	return q.check(answer)
}

// An asker asks a person. Without anybody to ask it leaves the answers as they
// are.
type asker interface {
	ask(ctx context.Context, questions []question) error
}

// errNoAnswer says that the person left.
var errNoAnswer = errors.New("no answer, and nothing was started")

// newAsker asks by a form where one can be drawn, at other terminals line by
// line, and otherwise, or if it is to be silent, not at all: what is no terminal
// belongs to the host.
func newAsker(env *cli.Env, silent bool) asker {
	switch {
	case silent || !env.IsTerminal(env.Stdin):
		return nobody{}
	case env.Err().Fits(formColumns, formRows) && env.Getenv("TERM") != "dumb" && env.Getenv("ACCESSIBLE") == "":
		return form{env}
	}
	return &lines{env: env, in: bufio.NewReader(env.Stdin)}
}

// nobody answers no question.
type nobody struct{}

func (nobody) ask(context.Context, []question) error { return nil }

// lines asks in plain text and reads a line for each answer.
type lines struct {
	env *cli.Env
	in  *bufio.Reader
}

const maxTries = 3 // of an answer that cannot be used

func (l *lines) ask(_ context.Context, questions []question) error {
	for i := range questions {
		if err := l.one(&questions[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) one(q *question) error {
	for i, o := range q.options {
		l.env.Err().Printf("  %d  %s\n", i+1, o.label)
	}
	for try := 1; ; try++ {
		l.env.Err().Printf("%s: ", q.line())
		text, err := l.in.ReadString('\n')
		if err != nil && text == "" {
			return errNoAnswer
		}
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		if len(q.options) > 0 {
			*q.answer = q.chosen(text)
			return nil
		}
		err = q.valid(text)
		if err == nil {
			*q.answer = text
			return nil
		}
		if try == maxTries {
			return err
		}
		l.env.Err().Printf("%v\n", err)
	}
}

// line is the question on one line, with what stands for no answer.
func (q *question) line() string {
	line := q.title
	var more []string
	if q.hint != "" {
		more = append(more, q.hint)
	}
	if len(q.examples) > 0 {
		more = append(more, "such as "+strings.Join(q.examples, ", "))
	}
	if len(more) > 0 {
		line += " (" + strings.Join(more, "; ") + ")"
	}
	otherwise := *q.answer
	if i := q.index(otherwise); i >= 0 {
		otherwise = strconv.Itoa(i + 1)
	}
	if otherwise != "" {
		line += " [" + otherwise + "]"
	}
	return line
}

func (q *question) index(value string) int {
	return slices.IndexFunc(q.options, func(o option) bool { return o.value == value })
}

// chosen returns the option that a number or its value names, the first
// for whatever else.
func (q *question) chosen(text string) string {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= len(q.options) {
		return q.options[n-1].value
	}
	if i := slices.IndexFunc(q.options, func(o option) bool { return strings.EqualFold(o.value, text) }); i >= 0 {
		return q.options[i].value
	}
	return q.options[0].value
}

// form asks one question after the other in its own part of the terminal; one
// can go back.
type form struct{ env *cli.Env }

func (f form) ask(ctx context.Context, questions []question) error {
	if len(questions) == 0 {
		return nil
	}
	answers := make([]string, len(questions))
	var pages []*huh.Group
	for i := range questions {
		answers[i] = *questions[i].answer
		pages = append(pages, huh.NewGroup(questions[i].field(&answers[i])))
	}
	shown := huh.NewForm(pages...).WithInput(f.env.Stdin).WithOutput(f.env.Stderr)
	err := f.run(ctx, shown)
	switch {
	// A signal ends the form by its context or without an error, whichever is first.
	case errors.Is(err, huh.ErrUserAborted), errors.Is(err, huh.ErrTimeout), err == nil && shown.State != huh.StateCompleted:
		return errNoAnswer
	case err != nil:
		return fmt.Errorf("ask at the terminal: %w; --quiet asks nothing", err)
	}
	for i, q := range questions {
		if answer := strings.TrimSpace(answers[i]); answer != "" {
			*q.answer = answer
		}
	}
	return nil
}

// run shows a form until it is filled in or ctx ends. The library hears of a
// signal by itself, too, and now and then does not end when both come at once:
// it is left behind then, for the process ends.
func (f form) run(ctx context.Context, shown *huh.Form) error {
	restore := f.env.KeepTerminal()
	ended := make(chan error, 1)
	go func() { ended <- shown.RunWithContext(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(formEnd):
		restore()
		return huh.ErrUserAborted
	}
}

// field is the question in a form, which writes to answer.
func (q *question) field(answer *string) huh.Field {
	if len(q.options) == 0 {
		return huh.NewInput().Title(q.title).Description(q.hint).Suggestions(q.examples).Validate(q.valid).Value(answer)
	}
	options := make([]huh.Option[string], len(q.options))
	for i, o := range q.options {
		options[i] = huh.NewOption(o.label, o.value)
	}
	return huh.NewSelect[string]().Title(q.title).Description(q.hint).Options(options...).Value(answer)
}
