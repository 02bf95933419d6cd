package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long the parts of a build may take.
const (
	cloneFor   = 120 * time.Second
	venvFor    = 2 * time.Minute
	installFor = 5 * time.Minute
)

// tailBytes is how much of a program's output its error may be found in.
const tailBytes = 4 << 10

// A step is a program that is run for a build.
type step struct {
	what    string // for people
	dir     string
	args    []string
	env     []string
	network []string
	limit   time.Duration
	out     io.Writer // gets the output too, if it is not nil
	secrets []string  // kept out of the log and of errors
}

// A build is what the parts of a Build share.
type build struct {
	*Builder
	job Job
	src string // where the source goes
	tmp string // is deleted at the end
}

// run runs a step within its time, and within what a build may put on the disk.
func (b *build) run(ctx context.Context, s step) error {
	fmt.Fprintln(b.job.Log, s.what)
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("it took longer than %v", s.limit))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tail := new(tailer)
	out := &redactor{w: io.MultiWriter(b.job.Log, tail), secrets: s.secrets}
	log := io.Writer(out)
	if s.out != nil {
		log = io.MultiWriter(s.out, out)
	}
	var watch sync.WaitGroup
	over := make(chan struct{})
	watch.Go(func() { b.watch(over, stop) })
	err := b.job.Run(ctx, s.dir, s.args, s.env, s.network, log)
	close(over)
	watch.Wait()
	out.flush()
	if err == nil {
		err = b.measure()
	} else if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.what, b.explain(err, tail, s.secrets))
}

// explain adds what the program said last to the error that it ended with, unless
// it is known better.
func (b *build) explain(err error, tail *tailer, secrets []string) error {
	if _, plain := errors.AsType[Plain](err); plain {
		return err
	}
	if SaysFull(string(tail.end)) {
		return ErrFull
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			err = errors.New(strings.ReplaceAll(err.Error(), secret, redacted))
		}
	}
	said := tail.last()
	if said == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

// watch stops a step that puts too much on the disk. The more there is to look
// at the seldomer it looks.
func (b *build) watch(over <-chan struct{}, stop context.CancelCauseFunc) {
	for pause := b.lookEvery; ; {
		select {
		case <-over:
			return
		case <-time.After(pause):
		}
		began := time.Now()
		if err := b.measure(); err != nil {
			stop(err)
			return
		}
		pause = max(b.lookEvery, 10*time.Since(began))
	}
}

// measure returns an error if the directory of the build has grown too large.
func (b *build) measure() error {
	root, err := os.OpenRoot(b.job.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var size int64
	var files int
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went while it was looked at
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		if strings.Count(name, "/") >= MaxNesting {
			return Plain(fmt.Sprintf("it made directories that are nested more than %d deep", MaxNesting))
		}
		if files++; size > b.opts.MaxBytes || files > b.opts.MaxFiles {
			return Plain(fmt.Sprintf("it made more than the %d MiB or %d files that a service may have", b.opts.MaxBytes>>20, b.opts.MaxFiles))
		}
		return nil
	})
}

// A tailer keeps the end of what is written to it.
type tailer struct{ end []byte }

func (t *tailer) Write(p []byte) (int, error) {
	t.end = append(t.end, p[max(0, len(p)-tailBytes):]...)
	t.end = t.end[max(0, len(t.end)-tailBytes):]
	return len(p), nil
}

// last returns the last lines, as one and short: those of errors, if there are
// any that look so, without what npm tells everybody and but one of pip's attempts.
func (t *tailer) last() string {
	var all, bad []string
	warned := -1 // where the last warning is in bad
	for line := range strings.Lines(strings.ToValidUTF8(string(t.end), "?")) {
		line = strings.TrimSpace(line)
		said, npm := strings.CutPrefix(line, "npm error")
		if said = strings.TrimSpace(said); said == "" || npm && isAdvice(said) {
			continue
		}
		all = append(all, said)
		low := strings.ToLower(line)
		if !strings.Contains(low, "error") && !strings.HasPrefix(low, "fatal") {
			continue
		}
		if strings.HasPrefix(low, "warning") {
			if warned >= 0 {
				bad = slices.Delete(bad, warned, warned+1)
			}
			warned = len(bad)
		}
		bad = append(bad, said)
	}
	if len(bad) == 0 {
		bad = all
	}
	said := strings.Join(bad[max(0, len(bad)-4):], " / ")
	if len(said) > 600 {
		said = strings.ToValidUTF8(said[:600], "") + "..."
	}
	return said
}

// isAdvice reports whether a line of npm's errors is one that it ends them with
// whatever the package, or nothing but a number.
func isAdvice(line string) bool {
	for _, advice := range []string{
		"A complete log of this run", "In most cases", "Note that you can also install", "tarball, folder, http url",
		"This is a problem related to network connectivity", "If you are behind a proxy", "on a server you do not have access to", "'proxy' config is set",
	} {
		if strings.Contains(line, advice) {
			return true
		}
	}
	return !strings.Contains(line, " ")
}

const redacted = "[secret]"

// A redactor passes lines on without the secrets in them. A line that is longer
// than it holds is passed on in parts that overlap no secret.
type redactor struct {
	w       io.Writer
	secrets []string
	held    []byte
}

const maxHeld = 64 << 10

func (r *redactor) Write(p []byte) (int, error) {
	if len(r.secrets) == 0 {
		return r.w.Write(p)
	}
	r.held = append(r.held, p...)
	if i := bytes.LastIndexByte(r.held, '\n'); i >= 0 {
		if err := r.pass(i + 1); err != nil {
			return 0, err
		}
	}
	if len(r.held) > maxHeld {
		r.held = append(r.held[:0], "(a line that was too long)\n"...)
	}
	return len(p), nil
}

func (r *redactor) pass(n int) error {
	text := r.held[:n]
	for _, s := range r.secrets {
		text = bytes.ReplaceAll(text, []byte(s), []byte(redacted))
	}
	r.held = append([]byte(nil), r.held[n:]...)
	_, err := r.w.Write(text)
	return err
}

func (r *redactor) flush() { r.pass(len(r.held)) }
