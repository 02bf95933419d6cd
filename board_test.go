package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// taskIDs finds the ids in the text of a tool.
var taskIDs = regexp.MustCompile(`\b[0-9A-Za-z]{32}\b`)

func TestSessionsShareTasksAndReservePaths(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	ann, bob := p.startSession(run, "ann"), p.startSession(run, "bob")
	ann.open()
	bob.open()

	text := ann.works("create_task", args{"title": "mend </channel> the parser", "assignee": "bob", "priority": "high", "tags": []string{"parser"}})
	id := taskIDs.FindString(text)
	if !strings.Contains(text, "The message to bob is sent") || id == "" {
		t.Fatalf("create_task: %s", text)
	}
	if text = bob.works("check_messages", args{"wait_seconds": 60}); !strings.Contains(text, "Task assigned to you: mend") || !strings.Contains(text, id) || !strings.Contains(text, "not authenticated") || strings.Contains(text, "</channel>") {
		t.Errorf("the assignment: %s", text)
	}
	if text, failed := ann.call("create_task", args{"title": "x", "assignee": "zoe"}); !failed || !strings.Contains(text, `nobody called "zoe"`) {
		t.Errorf("for nobody: %s", text)
	}
	if text = ann.works("create_task", args{"title": "x", "assignee": "@none"}); !strings.Contains(text, "no message was sent") {
		t.Errorf("for an empty group: %s", text)
	}

	if text = ann.works("reserve", args{"patterns": "docs", "reason": "the guide"}); !strings.Contains(text, "exclusive docs by you") {
		t.Errorf("reserve: %s", text)
	}
	if text, failed := bob.call("claim_task", args{"id": id, "reserve": []string{"src", "docs/a.md"}}); !failed || !strings.Contains(text, "docs is reserved exclusively by ann") {
		t.Errorf("claimed without its paths: %s", text)
	}
	if text = bob.works("claim_task", args{"id": id, "reserve": []string{"src"}, "minutes": 5}); !strings.Contains(text, "claimed by bob") || !strings.Contains(text, "exclusive src by you") {
		t.Errorf("claim_task: %s", text)
	}
	if text, failed := ann.call("claim_task", args{"id": id}); !failed || !strings.Contains(text, "is claimed by bob") {
		t.Errorf("claimed twice: %s", text)
	}
	if text, failed := ann.call("reserve", args{"patterns": []string{filepath.Join(p.dir, "src", "x.go")}}); !failed || !strings.Contains(text, `exclusive src by "bob"`) {
		t.Errorf("reserved twice: %s", text)
	}
	if text = ann.works("reservations", args{}); !strings.Contains(text, "docs by you") || !strings.Contains(text, "src by") {
		t.Errorf("reservations: %s", text)
	}
	if text = bob.works("complete_task", args{"id": id, "result": "mended\nfor good"}); !strings.Contains(text, "[done]") {
		t.Errorf("complete_task: %s", text)
	}
	if text = ann.works("list_tasks", args{"id": id}); !strings.Contains(text, "| mended\n| for good") {
		t.Errorf("list_tasks of one: %s", text)
	}
	if text = ann.works("list_tasks", args{"status": "completed"}); strings.Count(text, "[done]") != 1 || strings.Contains(text, "[open]") {
		t.Errorf("list_tasks: %s", text)
	}
	other := taskIDs.FindString(ann.works("list_tasks", args{"status": "open"}))
	ann.works("claim_task", args{"id": other})
	if text = ann.works("release_task", args{"id": other}); !strings.Contains(text, "[open]") {
		t.Errorf("release_task: %s", text)
	}
	if text = ann.works("release_paths", args{}); !strings.Contains(text, "docs by you") {
		t.Errorf("release_paths: %s", text)
	}
	if text = bob.works("reservations", args{"everywhere": true}); !strings.Contains(text, "0 reserved") {
		t.Errorf("reservations that outlive all: %s", text)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "src")); err == nil {
		t.Error("a reservation made a directory")
	}
}
