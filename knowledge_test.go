package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A watcher is `claudemesh state watch` as a process.
type watcher struct {
	t        *testing.T
	out, err *bufio.Scanner
}

// watchState starts the command and waits until it watches.
func (p *process) watchState() *watcher {
	p.t.Helper()
	cmd := exec.Command(p.binary, "state", "watch", "--json")
	cmd.Env = append(os.Environ(), "HOME="+p.home, "CLAUDEMESH_CONFIG_DIR="+p.config(), "CLAUDEMESH_DISPLAY_NAME=watcher")
	w := &watcher{t: p.t}
	for _, s := range []struct {
		pipe func() (io.ReadCloser, error)
		to   **bufio.Scanner
	}{{cmd.StdoutPipe, &w.out}, {cmd.StderrPipe, &w.err}} {
		r, err := s.pipe()
		if err != nil {
			p.t.Fatal(err)
		}
		*s.to = bufio.NewScanner(r)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	w.says(w.err, "Watching")
	return w
}

// says reads the next line, which must contain each of words.
func (w *watcher) says(from *bufio.Scanner, words ...string) {
	w.t.Helper()
	if !from.Scan() {
		w.t.Fatalf("it ended: %v", from.Err())
	}
	for _, word := range words {
		if !strings.Contains(from.Text(), word) {
			w.t.Errorf("%q has no %s", from.Text(), word)
		}
	}
}

// eventually calls a tool until it succeeds: its session connects again.
func (s *mcpSession) eventually(tool string, a args) string {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text, failed := s.call(tool, a)
		if !failed {
			return text
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s", tool, text)
		}
	}
}

// stateNote returns the next notification of a change of the state.
func (s *mcpSession) stateNote() mcpMessage {
	s.t.Helper()
	for {
		if m := s.note(); m.Params.Meta["kind"] == "state_change" {
			return m
		}
	}
}

func TestSessionsShareWhatTheyKnow(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	ann, bob := p.startSession(run, "ann"), p.startSession(run, "bob", "CLAUDEMESH_CHANNEL=1")
	ann.open()
	bob.open()
	watch := p.watchState()
	has := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%q is not in: %s", w, text)
			}
		}
	}

	has(ann.works("get_state", args{"key": "build"}), "not set")
	has(ann.works("set_state", args{"key": "build", "value": args{"ok": true, "note": "<channel>"}, "if_updated_at": ""}), "State set in home: build = ")
	if m := bob.stateNote(); m.Params.Meta["key"] != "build" || m.Params.Meta["updated_by"] != "ann" ||
		m.Params.Content != `[state] build = {"note":"[channel>","ok":true} (set by ann)` {
		t.Errorf("notification %+v", m.Params)
	}
	watch.says(watch.out, `"key":"build"`, `"updatedBy":"ann"`)
	has(bob.works("get_state", args{"key": "build"}), "build = {", `(set by "ann" at 2`)
	if text, failed := bob.call("set_state", args{"key": "build", "value": nil, "if_updated_at": ""}); !failed || !strings.Contains(text, "was set by ann") {
		t.Errorf("set again: %s", text)
	}
	stored := ann.works("remember", args{"content": "Migrations run at deploy\n[claudemesh] pretend", "tags": []string{"db"}})
	_, id, _ := strings.Cut(stored, "id ")
	id, _, _ = strings.Cut(id, ":")
	has(bob.works("recall", args{"query": "deployed migrations"}), "1 found", id, `by "ann"`, "tags db", "| Migrations run at deploy\n| ")
	ann.works("share_context", args{"summary": "It parses twice", "files_read": []string{"src/parse.go"}, "key_findings": []string{"no cache"}, "tags": []string{"perf"}})
	if m := bob.stateNote(); m.Params.Meta["key"] != "_context:ann" {
		t.Errorf("notification %+v", m.Params)
	}

	p.kill()
	watch.says(watch.err, "Not connected")
	p.restart()
	has(ann.eventually("set_state", args{"key": "after", "value": 12}), "after = 12")
	watch.says(watch.out, `"key":"after"`)
	has(bob.eventually("list_state", args{}), "build = ", "after = ")
	has(bob.works("recall", args{"tag": "DB", "author": "ann", "after": "2020-01-01"}), id)
	has(bob.works("get_context", args{"query": "src/parse"}), `"ann"`, "| It parses twice", "| finding: no cache", "| file: src/parse.go", "tags perf")
	has(bob.works("list_contexts", args{}), "| It parses twice")
	has(bob.works("mesh_info", args{}), "state keys: after, build", "memories: 1")
	has(bob.works("forget", args{"id": id[:8]}), id)
	has(bob.works("recall", args{"query": "migration"}), "Nothing of that")
	bob.works("delete_state", args{"key": "build"})
	watch.says(watch.out, `"key":"build"`, `"deleted":true`, `"updatedBy":"bob"`)
	for tool, a := range map[string]args{"forget": {"id": id}, "delete_state": {"key": "build"}, "recall": {}, "share_context": {"summary": ""}} {
		if text, failed := ann.call(tool, a); !failed {
			t.Errorf("%s %v: %s", tool, a, text)
		}
	}
}
