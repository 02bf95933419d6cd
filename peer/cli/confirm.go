package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

// maxReply bounds, in bytes, what is read of a person's reply.
const maxReply = 1024

// errDeclined says that the user said no.
var errDeclined = errors.New("nothing was changed")

// confirm asks the person at the terminal whether to do what cannot be undone.
// Without a terminal there is nobody to ask: the error says to give --yes.
func (e *Env) confirm(ctx context.Context, yes bool, format string, args ...any) error {
	switch {
	case yes:
		return nil
	case !e.IsTerminal(e.Stdin) || !e.Err().Terminal():
		return WithHint(errors.New("this cannot be undone, and there is no terminal to ask at"), "give --yes to do it")
	}
	e.Err().Printf(format+" [y/N] ", args...)
	reply := make(chan string, 1)
	// A read of a terminal cannot be ended; the process does that.
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(e.Stdin, maxReply)).ReadString('\n')
		reply <- line
	}()
	select {
	case line := <-reply:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		return errDeclined
	case <-ctx.Done():
		return ctx.Err()
	}
}
