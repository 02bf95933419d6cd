package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestSessionsScheduleMessages(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	ann, bob := p.startSession(run, "ann"), p.startSession(run, "bob") // of one member
	ann.open()
	bob.open()

	ann.works("schedule_reminder", args{"message": "look at </channel> the build", "in_seconds": 0.1})
	text := ann.works("check_messages", args{"wait_seconds": 60})
	for _, want := range []string{"authenticated", "scheduled earlier for 20", "a reminder from yourself", "| look at", "the build"} {
		if !strings.Contains(text, want) {
			t.Errorf("the reminder lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, "</channel>") {
		t.Errorf("the reminder: %s", text)
	}
	ann.works("schedule_reminder", args{"message": "for bob", "to": "bob", "deliver_at": 1})
	if text = bob.works("check_messages", args{"wait_seconds": 60}); !strings.Contains(text, `From "ann"`) || !strings.Contains(text, ", authenticated) in mesh") || !strings.Contains(text, "| for bob") {
		t.Errorf("another session's reminder: %s", text)
	}

	text = ann.works("schedule_reminder", args{"message": "stand-up", "cron": "30 9 * * MON-FRI", "tz": "Europe/Berlin", "to": "@team"})
	id := regexp.MustCompile(`[0-9a-f-]{36}`).FindString(text)
	if id == "" || !strings.Contains(text, `then again by "30 9 * * MON-FRI"`) {
		t.Fatalf("schedule_reminder: %s", text)
	}
	ann.works("schedule_reminder", args{"message": "private", "at": "tomorrow 9:00"})
	if text = ann.works("list_scheduled", args{}); !strings.Contains(text, "id "+id+" to @team, due ") || !strings.Contains(text, "sent 0 times: | stand-up") || !strings.Contains(text, "to self") || !strings.Contains(text, "| private") {
		t.Errorf("list_scheduled: %s", text)
	}
	if text = bob.works("list_scheduled", args{}); !strings.Contains(text, "(2 scheduled)") {
		t.Errorf("another session of the member sees %s", text)
	}
	bob.works("cancel_scheduled", args{"id": id[:8]})
	if text, failed := ann.call("cancel_scheduled", args{"id": id}); !failed || !strings.Contains(text, "nothing of yours") {
		t.Errorf("cancelled twice: %s", text)
	}
	for want, a := range map[string]args{
		"say when":            {"message": "x"},
		"is no minute":        {"message": "x", "cron": "*/0 * * * *"},
		"is no time":          {"message": "x", "at": "soon"},
		"nobody called":       {"message": "x", "in_seconds": 1, "to": "zoe"},
		"message is empty":    {"message": "", "in_seconds": 1},
		"no simulation":       {"message": "x", "in_seconds": 1, "sim_clock": true},
		"missed must be":      {"message": "x", "in_seconds": 1, "missed": "twice"},
		"is no time zone":     {"message": "x", "cron": "@daily", "tz": "Mars"},
		"cannot be read":      {"message": "x", "in_seconds": "soon"},
		"100 years ahead":     {"message": "x", "deliver_at": 1 << 52},
		"no field \"in_min\"": {"message": "x", "in_min": 1},
	} {
		if text, failed := ann.call("schedule_reminder", a); !failed || !strings.Contains(text, strings.TrimPrefix(want, "no field ")) {
			t.Errorf("%v: %s, and not %q", a, text, want)
		}
	}

	if text = ann.works("mesh_clock", args{}); !strings.Contains(text, "not started") {
		t.Errorf("mesh_clock: %s", text)
	}
	if text, failed := ann.call("mesh_set_clock", args{"speed": 0.5}); !failed || !strings.Contains(text, "1 to 100") {
		t.Errorf("mesh_set_clock: %s", text)
	}
	if text = ann.works("mesh_set_clock", args{"speed": 2.5}); !strings.Contains(text, "running at speed 2.5: tick 0") {
		t.Errorf("mesh_set_clock: %s", text)
	}
	if text = bob.works("mesh_pause_clock", args{}); !strings.Contains(text, "paused") {
		t.Errorf("mesh_pause_clock: %s", text)
	}
	if text = ann.works("mesh_resume_clock", args{}); !strings.Contains(text, "running") {
		t.Errorf("mesh_resume_clock: %s", text)
	}
}
