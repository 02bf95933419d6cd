package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Progress tells a person at the terminal what a command is waiting for, once
// that takes over a second, with the seconds counted. Call the returned
// function, any number of times, when it is done and before printing anything
// else: it takes the line away again.
func (e *Env) Progress(what string) (done func()) {
	return e.ProgressOf(func() string { return what })
}

// ProgressOf is Progress of something that changes: what is asked each second,
// by another goroutine.
func (e *Env) ProgressOf(what func() string) (done func()) {
	p := e.errOut
	if !p.terminal {
		return func() {}
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { p.progress(what, stop) })
	return sync.OnceFunc(func() {
		close(stop)
		running.Wait()
	})
}

func (p *Printer) progress(what func() string, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	shown := 0
	for seconds := 1; ; seconds++ {
		select {
		case <-stop:
			if shown > 0 {
				p.raw(fmt.Sprintf("\r%*s\r", shown, ""))
			}
			return
		case <-tick.C:
			line := cut(fmt.Sprintf("%s… %d s", CleanLine(what()), seconds), p.width, 1)
			p.raw("\r" + p.style(Dim, line) + strings.Repeat(" ", max(0, shown-displayWidth(line))))
			shown = displayWidth(line)
		}
	}
}
