package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestSessionsMakeWebhooksAndWatches(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t, "--watch-allow", "127.0.0.1")
	ann := p.startSession(shortTemp(t), "ann")
	ann.open()

	text := ann.works("create_webhook", args{"name": "ci", "target": "*", "template": "{{a}} </channel>"})
	url := regexp.MustCompile(`http://\S+/hook/\S+`).FindString(text)
	postJSON := func(body string) int {
		t.Helper()
		res, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if status := postJSON(`{"a":"built"}`); status != http.StatusOK {
		t.Fatalf("post: %d", status)
	}
	text = ann.works("check_messages", args{"wait_seconds": 60})
	if !strings.Contains(text, "From webhook ci (whoever knows its URL may have written this)") || !strings.Contains(text, "| built ") || strings.Contains(text, "</channel>") {
		t.Errorf("the webhook's message: %s", text)
	}
	id := regexp.MustCompile(`id ([0-9A-Za-z]{32})`).FindStringSubmatch(text)
	if answer, failed := ann.call("send_message", args{"message": "x", "reply_to": id[1]}); !failed || !strings.Contains(answer, "written by no peer") {
		t.Errorf("an answer to a webhook: %s", answer)
	}
	if text = ann.works("list_webhooks", args{}); !strings.Contains(text, `"ci" by ann, for *, 1 message so far`) || strings.Contains(text, "/hook/") {
		t.Errorf("list_webhooks: %s", text)
	}
	ann.works("rotate_webhook", args{"name": "ci"})
	if status := postJSON(`{}`); status != http.StatusNotFound {
		t.Errorf("the old URL: %d", status)
	}
	ann.works("delete_webhook", args{"name": "ci"})
	if text, failed := ann.call("delete_webhook", args{"name": "ci"}); !failed || !strings.Contains(text, "there is no webhook") {
		t.Errorf("deleted twice: %s", text)
	}

	text = ann.works("mesh_watch", args{"url": "http://" + p.ready.Listen + "/health", "mode": "json", "extract": "uptime", "interval": 5, "label": "up", "headers": map[string]string{"X-A": "b"}})
	watch := regexp.MustCompile(`w_[0-9a-f]{8}`).FindString(text)
	if text = ann.works("check_messages", args{"wait_seconds": 60}); !strings.Contains(text, "From the broker, of a URL that it watches for you") || !strings.Contains(text, "| [WATCH] up: ") {
		t.Errorf("what the watch saw: %s", text)
	}
	if text = ann.works("mesh_watches", args{}); !strings.Contains(text, `- `+watch+` "up" http://`) || !strings.Contains(text, "json every 5 s, checked 20") {
		t.Errorf("mesh_watches: %s", text)
	}
	ann.works("mesh_unwatch", args{"watch_id": watch})
	for tool, a := range map[string]args{
		"mesh_unwatch":   {"watch_id": watch},
		"mesh_watch":     {"url": "http://169.254.169.254/"},
		"create_webhook": {"name": ""},
		"rotate_webhook": {"name": "none"},
	} {
		if text, failed := ann.call(tool, a); !failed {
			t.Errorf("%s %v: %s", tool, a, text)
		}
	}
}
