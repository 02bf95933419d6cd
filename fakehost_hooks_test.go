package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A hookGroup is an entry of an event in settings.json.
type hookGroup struct {
	Matcher string     `json:"matcher"`
	Hooks   []hookSpec `json:"hooks"`
}

// A hookSpec is one hook. Timeout is in seconds.
type hookSpec struct {
	Type          string  `json:"type"`
	Command       string  `json:"command"`
	Timeout       float64 `json:"timeout"`
	Async         bool    `json:"async"`
	AsyncRewake   bool    `json:"asyncRewake"`
	RewakeSummary string  `json:"rewakeSummary"`
	RewakeMessage string  `json:"rewakeMessage"`
}

// contextEvents are those whose additionalContext reaches the model.
func contextEvents() []string {
	return []string{"SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolBatch", "Stop"}
}

// Longer additional context is cut to a preview, in characters.
const (
	longestContext = 20_000
	preview        = 2_000
)

// fire runs the hooks of an event side by side and returns what of their output
// reaches the model. Those that rewake run on.
func (s *hostSession) fire(ctx context.Context, event, subject string, fields map[string]any) []string {
	input := map[string]any{"session_id": s.id, "transcript_path": s.files.transcript(s.id), "cwd": s.files.cwd, "hook_event_name": event}
	maps.Copy(input, fields)
	stdin, err := json.Marshal(input)
	if err != nil {
		s.ctl.fault("%s: %v", event, err)
		return nil
	}
	env := s.environ(fmt.Sprintf("CLAUDE_PID=%d", os.Getpid()))
	var specs []hookSpec
	for _, g := range s.hooks[event] {
		if matches(g.Matcher, subject) {
			specs = append(specs, g.Hooks...)
		}
	}
	texts := make([]string, len(specs))
	var wg sync.WaitGroup
	for i, h := range specs {
		switch {
		case (h.AsyncRewake || h.Async) && !s.flags.print:
			s.beside.Go(func() { s.rewake(ctx, event, h, env, stdin) })
		default:
			wg.Go(func() {
				out := s.runHook(ctx, h, env, stdin)
				if out.code != 0 {
					s.ctl.fault("%s hook %q: exit code %d: %s", event, h.Command, out.code, out.stderr)
				}
				texts[i] = s.reaches(event, out)
			})
		}
	}
	wg.Wait()
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

func matches(matcher, subject string) bool {
	if matcher == "" || matcher == "*" {
		return true
	}
	ok, err := regexp.MatchString("^(?:"+matcher+")$", subject)
	return ok && err == nil
}

// hookOutput is what a hook left.
type hookOutput struct {
	code           int // -1 if it was killed for the time it took
	stdout, stderr string
}

// runHook runs the command of a hook to its end. Claude Code kills it when its
// timeout is over; here it has more, which a machine that runs many may need.
func (s *hostSession) runHook(ctx context.Context, h hookSpec, env []string, stdin []byte) hookOutput {
	limit := patience + time.Duration(cmp.Or(h.Timeout, 600)*float64(time.Second))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", h.Command)
	cmd.Env, cmd.Dir, cmd.Stdin = env, s.files.cwd, bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	whole(cmd)
	err := cmd.Run()
	out := hookOutput{stdout: stdout.String(), stderr: stderr.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		out.code = exit.ExitCode()
	} else if err != nil {
		out.code = -1
	}
	return out
}

// reaches returns what the model is shown of the output of a hook.
func (s *hostSession) reaches(event string, out hookOutput) string {
	text := strings.TrimSpace(out.stdout)
	if out.code != 0 || text == "" {
		return ""
	}
	if text[0] != '{' {
		if event != "SessionStart" && event != "UserPromptSubmit" {
			return ""
		}
		return shorten(text)
	}
	var answer struct {
		Decision, Reason string
		Specific         struct{ HookEventName, AdditionalContext string } `json:"hookSpecificOutput"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.ctl.fault("%s hook printed bad JSON: %v: %s", event, err, text)
		return ""
	}
	if event == "Stop" && answer.Decision == "block" {
		return answer.Reason
	}
	if answer.Specific.AdditionalContext == "" {
		return ""
	}
	if answer.Specific.HookEventName != event || !slices.Contains(contextEvents(), event) {
		s.ctl.fault("context for %q from a hook of %s", answer.Specific.HookEventName, event)
		return ""
	}
	return shorten(answer.Specific.AdditionalContext)
}

func shorten(text string) string {
	if r := []rune(text); len(r) > longestContext {
		return string(r[:preview])
	}
	return text
}

// rewake runs a hook beside the session. If it ends with 2, the session is told.
func (s *hostSession) rewake(ctx context.Context, event string, h hookSpec, env []string, stdin []byte) {
	out := s.runHook(ctx, h, env, stdin)
	if out.code != 2 || !h.AsyncRewake {
		if out.code > 0 {
			s.ctl.fault("%s hook %q beside the session: exit code %d: %s", event, h.Command, out.code, out.stderr)
		}
		return
	}
	text := cmp.Or(out.stderr, out.stdout)
	s.arrive(ctx, arrival{"wake", "NOT USER INPUT\n" + h.RewakeSummary + "\n" + h.RewakeMessage + "\n" + text})
}
