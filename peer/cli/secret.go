package cli

import (
	"bufio"
	"context"
	"io"
	"os"

	"golang.org/x/term"

	"claudemesh/wire"
)

// secret asks the person at the terminal for a line, which is not shown as it
// is typed. The terminal is as it was before also after an interrupt.
func (e *Env) secret(ctx context.Context, prompt string) ([]byte, error) {
	read := func() ([]byte, error) { // where a test is the terminal
		line, err := bufio.NewReader(io.LimitReader(e.Stdin, wire.MaxVaultValue+3)).ReadBytes('\n')
		return withoutLineBreak(line), err
	}
	if f, ok := e.Stdin.(*os.File); ok {
		before, err := term.GetState(int(f.Fd()))
		if err != nil {
			return nil, err
		}
		defer term.Restore(int(f.Fd()), before)
		if err := hideTyping(int(f.Fd())); err != nil { // before anybody is asked
			return nil, err
		}
		read = func() ([]byte, error) { return term.ReadPassword(int(f.Fd())) }
	}
	e.Err().Printf("%s (it is not shown): ", prompt)
	defer e.Err().Printf("\n")
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	// A read of a terminal cannot be ended; the process does that.
	go func() {
		text, err := read()
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		if l.err == io.EOF {
			l.err = nil // what was typed before it, which may be nothing
		}
		return l.text, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// KeepTerminal returns what puts the terminal of Stdin back to how it is now.
// It does nothing where Stdin is none.
func (env *Env) KeepTerminal() (restore func()) {
	f, ok := env.Stdin.(*os.File)
	if !ok {
		return func() {}
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { term.Restore(int(f.Fd()), before) }
}
