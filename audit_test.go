package main

import (
	"strings"
	"testing"
)

func TestSessionsReadTheAuditLog(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	ann := p.startSession(shortTemp(t), "ann")
	ann.open()
	ann.works("set_state", args{"key": "sprint", "value": "</channel> secret"})
	text := ann.works("audit_query", args{"event_type": "state_set"})
	if !strings.Contains(text, `state_set by "ann"`) || !strings.Contains(text, `"key":"sprint"`) || strings.Contains(text, "secret") {
		t.Errorf("audit_query: %s", text)
	}
	if text = ann.works("audit_query", args{"limit": 1}); !strings.Contains(text, "older ones: offset 1 shows them") {
		t.Errorf("the newest: %s", text)
	}
	if text = ann.works("audit_query", args{"event_type": "vault_changed"}); !strings.Contains(text, "No such entries") {
		t.Errorf("of what never was: %s", text)
	}
	if text = ann.works("audit_verify", args{}); !strings.Contains(text, "is as it was written") {
		t.Errorf("audit_verify: %s", text)
	}
}
