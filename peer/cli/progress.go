package cli

import (
	"fmt"
	"sync"
	"time"
)

// Progress tells a person at the terminal what a command is waiting for, once
// that takes over a second, with the seconds counted. Call the returned
// function, any number of times, when it is done and before printing anything
// else: it takes the line away again.
func (e *Env) Progress(what string) (done func()) {
	p := e.errOut
	if !p.terminal {
		return func() {}
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { p.progress(CleanLine(what), stop) })
	return sync.OnceFunc(func() {
		close(stop)
		running.Wait()
	})
}

func (p *Printer) progress(what string, stop <-chan struct{}) {
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
			line := cut(fmt.Sprintf("%s… %d s", what, seconds), p.width, 1)
			shown = displayWidth(line)
			p.raw("\r" + p.style(Dim, line))
		}
	}
}
