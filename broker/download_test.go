package broker

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestADownloadCanBeResumed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	url := a.get(a.upload("x", "0123456789").id())["url"].(string)
	_, h, _ := b.download(url)
	tag := h.Get("ETag")
	for _, c := range []struct {
		headers []string
		status  int
		body    string
	}{
		{[]string{"Range", "bytes=4-"}, 206, "456789"},
		{[]string{"Range", "bytes=4-", "If-Range", tag}, 206, "456789"},
		{[]string{"Range", "bytes=4-", "If-Range", `"another"`}, 200, "0123456789"},
		{[]string{"Range", "bytes=2-3"}, 206, "23"},
		{[]string{"Range", "bytes=10-"}, 416, ""},
		{[]string{"If-None-Match", tag}, 304, ""},
	} {
		status, _, body := b.download(url, c.headers...)
		if status != c.status || status < 300 && body != c.body {
			t.Errorf("%v: %d %q", c.headers, status, body)
		}
	}
}

func TestADownloadTakesItsTicket(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob := b.join("ann"), b.join("bob")
	a, o := ann.modern("a"), bob.modern("b")
	one, two := a.upload("x", "one").id(), a.upload("y", "two").id()
	url := o.get(one)["url"].(string)
	plain, ticket, _ := strings.Cut(url, "?")
	past := must(b.srv.tickets.Make(b.mesh, one, bob.id, time.Now()))
	foreign := must(b.srv.tickets.Make(b.mesh, one, "nobody", time.Now().Add(time.Hour)))
	elsewhere := must(b.srv.tickets.Make("anothermesh", one, bob.id, time.Now().Add(time.Hour)))
	for name, u := range map[string]string{
		"none":                 plain,
		"an empty one":         plain + "?token=",
		"a changed one":        url[:len(url)-2] + "xx",
		"that of another file": strings.Replace(url, one, two, 1),
		"one that is over":     plain + "?token=" + past,
		"one of no member":     plain + "?token=" + foreign,
		"one of another mesh":  strings.Replace(plain, b.mesh, "anothermesh", 1) + "?token=" + elsewhere,
		"another mesh":         strings.Replace(plain, b.mesh, "anothermesh", 1) + "?" + ticket,
	} {
		if status, _, body := b.download(u); status != 403 || strings.Contains(body, "one\n") {
			t.Errorf("with %s: %d %s", name, status, body)
		}
	}
	if status, _, body := b.download(url); status != 200 || body != "one" {
		t.Errorf("with its own: %d %s", status, body)
	}
	b.call("DELETE", "/mesh/"+b.mesh+"/member/"+bob.id, b.owner, nil)
	if status, _, _ := b.download(url); status != 403 {
		t.Errorf("of who was revoked: %d", status)
	}
}

func TestTheAddressOfAFileIsOneThatItsReaderCanReach(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{"": "", "https://mesh.example.com": "https://mesh.example.com"} {
		b := newBroker(t, func(c *Config) { c.PublicURL = public })
		if want == "" {
			want = b.base
		}
		a := b.join("ann").modern("a")
		if u := a.get(a.upload("x", "x").id())["url"].(string); !strings.HasPrefix(u, want+"/download/"+b.mesh+"/") {
			t.Errorf("--public-url %q: %s", public, u)
		}
	}
}

// Who downloads does not hold up a broker that stops, and goes on when it is back.
func TestAShutdownBreaksDownloadsOff(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.ShutdownWithin = patience })
	a := b.join("ann").modern("a")
	content := strings.Repeat("0123456789abcdef", 2<<20) // more than the buffers of a socket hold
	url := a.get(a.upload("x", content).id())["url"].(string)
	res, err := http.DefaultClient.Do(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(res.Body, head); err != nil {
		t.Fatal(err)
	}
	a.ws.CloseNow()
	b.restart()
	rest, err := io.ReadAll(res.Body)
	if err == nil || len(head)+len(rest) >= len(content) {
		t.Fatalf("%d bytes came, %v", len(head)+len(rest), err)
	}
	_, _, more := b.download(url, "Range", "bytes=1000-")
	if string(head)+more != content {
		t.Error("what came is not the file")
	}
}

func BenchmarkUpload(b *testing.B) {
	broker := newBroker(b)
	a := broker.join("ann").modern("a")
	body := strings.Repeat("0123456789abcdef", 1<<20)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		id := a.upload("x", body).id()
		a.ask("ack", map[string]any{"type": "delete_file", "fileId": id})
	}
}
