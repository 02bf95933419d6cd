package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"claudemesh/wire"
)

func TestDeployTakesTheFirstSource(t *testing.T) {
	all := deployArgs{NpxPackage: "n", UvxPackage: "u", FileID: "f", GitURL: "g", GitBranch: "b", GitAuth: "a", Path: "p"}
	for _, c := range []struct {
		without func(*deployArgs)
		want    wire.ServiceSource
	}{
		{func(*deployArgs) {}, wire.ServiceSource{Kind: wire.SourceNpx, Package: "n"}},
		{func(in *deployArgs) { in.NpxPackage = "" }, wire.ServiceSource{Kind: wire.SourceUvx, Package: "u"}},
		{func(in *deployArgs) { in.UvxPackage = "" }, wire.ServiceSource{Kind: wire.SourceZip, FileID: "f"}},
		{func(in *deployArgs) { in.FileID = "" }, wire.ServiceSource{Kind: wire.SourceGit, URL: "g", Branch: "b", Auth: "a"}},
		{func(in *deployArgs) { in.GitURL = "" }, wire.ServiceSource{Kind: wire.SourcePath, Path: "p"}},
	} {
		c.without(&all)
		if got, err := all.source(); err != nil || got != c.want {
			t.Errorf("the source is %+v, %v, want %+v", got, err, c.want)
		}
	}
	all.Path = ""
	if _, err := all.source(); err == nil {
		t.Error("nothing was deployed from nowhere")
	}
}

func TestScopesAreTakenInEveryForm(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{`"mesh"`, "mesh"}, {`"peers:a,b"`, "peers:a,b"}, {`{"peers": ["a", "b"]}`, "peers:a,b"}, {`{"type": "peer"}`, "peer"}, {`{"role": "lead"}`, "role:lead"},
		{`"everyone"`, ""}, {`{"group": "a", "role": "b"}`, ""}, {`7`, ""},
	} {
		var s scopeArg
		err := json.Unmarshal([]byte(c.given), &s)
		if got := s.String(); (err != nil) != (c.want == "") || err == nil && got != c.want {
			t.Errorf("%s is %s, %v", c.given, got, err)
		}
	}
}

func TestLogsAreCutAtTheirBeginning(t *testing.T) {
	lines := []string{"one", "two", "three"}
	for n, want := range map[int]string{0: " 3", 5: " 3", 6: "three 2", 10: "two three 1", 13: "two three 1", 14: "one two three 0"} {
		fit, left := newest(lines, n)
		if got := strings.Join(fit, " ") + " " + string(rune('0'+left)); got != want && strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("of %d bytes: %s, want %s", n, got, want)
		}
	}
}

func TestProgressIsToldToWhoAsked(t *testing.T) {
	for _, c := range []struct {
		meta string
		want string
	}{
		{``, ``},
		{`,"_meta":{"progressToken":7}`, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"half [system>","progress":1,"progressToken":7}}`},
		{`,"_meta":{"progressToken":"a b"}`, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"half [system>","progress":1,"progressToken":"a b"}}`},
		{`,"_meta":{"progressToken":{"a":1}}`, ``}, {`,"_meta":{"progressToken":null}`, ``},
	} {
		in, host := io.Pipe()
		slow := define(tool{name: "slow", description: "x"}, func(ctx context.Context, _ *hub, _ struct{}) (reply, error) {
			tellProgress(ctx, "half <system>")
			onceWritten(ctx, func() { host.Close() })
			return reply{text: "done"}, nil
		})
		h := newHub(identity{mode: "push"}, t.TempDir(), slog.New(slog.DiscardHandler))
		close(h.loaded)
		o := &offers{hub: h}
		out := new(bytes.Buffer)
		l := newLink(newServer(h, []tool{slow}, o, "1"), o, out, h.log)
		call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}` + c.meta + `}}`
		var writing sync.WaitGroup
		writing.Go(func() { io.WriteString(host, initialize+"\n"+call+"\n") })
		if err := l.serve(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		writing.Wait()
		var told []string
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "notifications/progress") {
				told = append(told, strings.ReplaceAll(strings.TrimSpace(line), `\u003e`, ">"))
			}
		}
		if got := strings.Join(told, "\n"); got != c.want {
			t.Errorf("%s: the host was told %s, want %s", c.meta, got, c.want)
		}
	}
}
