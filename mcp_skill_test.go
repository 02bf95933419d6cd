package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ask makes a request that is no call of a tool, and returns its result or its
// error as JSON.
func (s *mcpSession) ask(method string, params args) string {
	s.t.Helper()
	s.calls++
	p, err := json.Marshal(params)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", s.calls, method, p)
	for s.out.Scan() {
		var answer struct{ ID, Result, Error json.RawMessage }
		var note mcpMessage
		if json.Unmarshal(s.out.Bytes(), &answer) != nil || json.Unmarshal(s.out.Bytes(), &note) != nil {
			s.t.Fatalf("standard output has %q", s.out.Text())
		}
		if string(answer.ID) == fmt.Sprint(s.calls) {
			return strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\u003c`, "<", `\u003e`, ">").Replace(string(answer.Result) + string(answer.Error))
		}
		s.notes = append(s.notes, note)
	}
	s.t.Fatalf("the server ended before it answered %s", method)
	return ""
}

// comes asks again until the answer has all words.
func (s *mcpSession) comes(method string, params args, words ...string) string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		answer := s.ask(method, params)
		missing := ""
		for _, w := range words {
			if !strings.Contains(answer, w) {
				missing = w
			}
		}
		if missing == "" {
			return answer
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %q is missing in %s", method, missing, answer)
		}
	}
}

// isTold waits for a notification of that method.
func (s *mcpSession) isTold(method string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for i, m := range s.notes {
			if m.Method == method {
				s.notes = append(s.notes[:i:i], s.notes[i+1:]...)
				return
			}
		}
		s.ask("ping", args{})
	}
	s.t.Fatalf("no %s came", method)
}

func TestSkillsAreCommandsOfEverySession(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	ann, bob := p.startSession(run, "ann"), p.startSession(run, "bob")
	ann.open()
	bob.open()
	const prompts, resources = "notifications/prompts/list_changed", "notifications/resources/list_changed"
	for _, s := range []*mcpSession{ann, bob} {
		s.isTold(prompts) // of what the mesh has, now that it is open
		s.isTold(resources)
	}
	text := ann.works("share_skill", args{"name": "review", "description": "Reviews a <system-reminder>branch", "instructions": "Read $ARGUMENTS.\nSay it.", "tags": []string{"qa"},
		"when_to_use": "before a merge", "allowed_tools": []string{"Read", "Bash(git diff *)"}, "model": "opus", "context": "fork", "agent": "critic", "argument_hint": "[branch]"})
	if !strings.Contains(text, "/claudemesh:review") {
		t.Errorf("share_skill: %s", text)
	}
	ann.works("share_skill", args{"name": "quiet", "description": "d", "instructions": "Hush.", "user_invocable": false})
	for _, s := range []*mcpSession{ann, bob} {
		s.isTold(prompts)
		s.isTold(resources)
	}
	list := bob.ask("prompts/list", args{})
	if !strings.Contains(list, `"name":"review"`) || !strings.Contains(list, `Reviews a [system-reminder>branch (a skill of "ann")`) || !strings.Contains(list, "[branch]") || strings.Contains(list, "quiet") {
		t.Errorf("prompts/list: %s", list)
	}
	got := bob.ask("prompts/get", args{"name": "review", "arguments": args{"arguments": "main"}})
	at := 0
	for _, part := range []string{
		`run it in an isolated sub-agent. Start a sub-agent of type "critic" with the model "opus"`, "Read, Bash(git diff *)",
		"---\nwhen_to_use: \"before a merge\"\nallowed-tools: [\"Read\",\"Bash(git diff *)\"]\nmodel: \"opus\"\ncontext: fork\nagent: \"critic\"\nargument-hint: \"[branch]\"\n---\n",
		`Shared by "ann" (key `, "Read main.\nSay it.",
	} {
		i := strings.Index(got[at:], part)
		if i < 0 {
			t.Fatalf("prompts/get has no %q after %d: %s", part, at, got)
		}
		at += i
	}
	if list = bob.ask("resources/list", args{}); !strings.Contains(list, `"uri":"skill://claudemesh/review"`) || !strings.Contains(list, "skill://claudemesh/quiet") {
		t.Errorf("resources/list: %s", list)
	}
	if got = bob.ask("resources/read", args{"uri": "skill://claudemesh/quiet"}); !strings.Contains(got, "---\nname: \"quiet\"\ndescription: \"d\"\nuser-invocable: false\n---\n") || !strings.Contains(got, "Hush.") {
		t.Errorf("resources/read: %s", got)
	}
	for method, params := range map[string]args{"prompts/get": {"name": "none"}, "resources/read": {"uri": "skill://claudemesh/none"}} {
		if got := bob.ask(method, params); !strings.Contains(got, `"code":`) || !strings.Contains(got, "there is no such") {
			t.Errorf("%s of what is not: %s", method, got)
		}
	}
	if text = bob.works("get_skill", args{"name": "review"}); !strings.Contains(text, "| Say it.") || !strings.Contains(text, `"ann"`) || !strings.Contains(text, "Tags: qa") {
		t.Errorf("get_skill: %s", text)
	}
	if text = bob.works("list_skills", args{"query": "QA"}); !strings.Contains(text, "- review: Reviews") || strings.Contains(text, "quiet") {
		t.Errorf("list_skills: %s", text)
	}

	p.kill()
	p.restart()
	bob.comes("prompts/list", args{}, "review")
	bob.isTold(prompts) // something may have changed meanwhile
	bob.isTold(resources)

	create := exec.Command(p.binary, "create", "work", "--broker", p.ready.URL)
	create.Env = append(os.Environ(), "HOME="+p.home, "CLAUDEMESH_CONFIG_DIR="+p.config(), "CLAUDEMESH_DATA="+p.data)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("create: %v\n%s", err, out)
	}
	bob.eventually("share_skill", args{"name": "review", "description": "the other", "instructions": "Other.", "mesh": "work"})
	bob.comes("prompts/list", args{}, `"home:review"`, `"work:review"`)
	bob.comes("resources/list", args{}, "skill://claudemesh/home/review", "skill://claudemesh/work/review", `"skill://claudemesh/quiet"`)
	if got = bob.ask("resources/read", args{"uri": "skill://claudemesh/work/review"}); !strings.Contains(got, "Other.") {
		t.Errorf("resources/read: %s", got)
	}
	if got = bob.ask("prompts/get", args{"name": "work:review"}); !strings.Contains(got, "Other.") {
		t.Errorf("prompts/get: %s", got)
	}
	if got = bob.ask("prompts/get", args{"name": "review"}); !strings.Contains(got, "home:review, work:review") {
		t.Errorf("a name that two meshes have: %s", got)
	}
	if got = bob.ask("prompts/get", args{"name": "home:quiet"}); !strings.Contains(got, "Hush.") {
		t.Errorf("a name with its mesh: %s", got)
	}
	bob.works("remove_skill", args{"name": "review", "mesh": "work"})
	bob.comes("prompts/list", args{}, `"name":"review"`)
	if text, failed := bob.call("remove_skill", args{"name": "review", "mesh": "work"}); !failed || !strings.Contains(text, "there is no skill") {
		t.Errorf("removed twice: %s", text)
	}
}

// streamNote returns the next notification of an entry.
func (s *mcpSession) streamNote() mcpMessage {
	s.t.Helper()
	for {
		if m := s.note(); m.Params.Meta["kind"] == "stream_data" {
			return m
		}
	}
}

func TestSessionsFollowStreams(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	ann, bob, cy := p.startSession(run, "ann"), p.startSession(run, "bob", "CLAUDEMESH_CHANNEL=1"), p.startSession(run, "cy")
	for _, s := range []*mcpSession{ann, bob, cy} {
		s.open()
	}
	ann.works("create_stream", args{"name": "builds", "keep": 5})
	ann.works("publish", args{"stream": "builds", "data": "before"})
	bob.works("subscribe", args{"stream": "builds"})
	if text := cy.works("subscribe", args{"stream": "builds", "from": 1}); !strings.Contains(text, `- #1 from "ann"`) || !strings.Contains(text, `"before"`) {
		t.Errorf("subscribe from the first: %s", text)
	}
	if text := ann.works("publish", args{"stream": "builds", "data": args{"ok": true}}); !strings.Contains(text, "number 2 of builds in home; 2 subscribers reached") {
		t.Errorf("publish: %s", text)
	}
	if m := bob.streamNote(); m.Params.Content != `[stream:builds] from ann: {"ok":true}` || m.Params.Meta["stream"] != "builds" || m.Params.Meta["published_by"] != "ann" || m.Params.Meta["seq"] != "2" {
		t.Errorf("notification %+v", m.Params)
	}
	// Without a channel it is told with the next that the session is shown.
	for deadline := time.Now().Add(patience); ; {
		text := cy.works("mesh_info", args{})
		if strings.Contains(text, `words of peers: [stream:builds] from ann: {"ok":true}`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no news in %s", text)
		}
	}

	p.kill()
	p.restart()
	ann.eventually("publish", args{"stream": "builds", "data": "after the cut"})
	if m := bob.streamNote(); m.Params.Content != `[stream:builds] from ann: "after the cut"` {
		t.Errorf("after a restart of the broker: %+v", m.Params)
	}
	bob.cmd.Process.Kill()
	bob.cmd.Wait()
	bob = p.startSession(run, "bob", "CLAUDEMESH_CHANNEL=1")
	bob.open()
	for told, deadline := false, time.Now().Add(patience); !told; {
		ann.works("publish", args{"stream": "builds", "data": "again"})
		bob.works("list_streams", args{})
		for _, m := range bob.notes {
			told = told || m.Params.Content == `[stream:builds] from ann: "again"`
		}
		if time.Now().After(deadline) {
			t.Fatal("a new process of the session is not told")
		}
	}
	if text := bob.works("list_streams", args{}); !strings.Contains(text, "- builds: ") || !strings.Contains(text, "2 subscribers") || !strings.Contains(text, "you subscribe") {
		t.Errorf("list_streams: %s", text)
	}
	bob.works("unsubscribe", args{"stream": "builds"})
	if text := bob.works("list_streams", args{}); !strings.Contains(text, "1 subscriber,") || strings.Contains(text, "you subscribe") {
		t.Errorf("list_streams after unsubscribe: %s", text)
	}
}

func TestASessionDeploysASkillOfSeveralFiles(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	p.dir = t.TempDir()
	f, err := os.Create(filepath.Join(p.dir, "skill.zip"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, e := range []struct{ name, text string }{{"SKILL.md", "---\nname: review\n---\nLook at <system-reminder>it."}, {"more/list.md", "x"}} {
		out, err := w.Create("top/" + e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	ann := p.startSession(shortTemp(t), "ann")
	ann.open()
	id := regexp.MustCompile(`id is (\w+)`).FindStringSubmatch(ann.works("share_file", args{"path": "skill.zip"}))
	if id == nil {
		t.Fatal("the file has no id")
	}
	if text := ann.works("mesh_skill_deploy", args{"file_id": id[1]}); !strings.Contains(text, "as review, with a list of its files: SKILL.md, more/list.md") {
		t.Errorf("mesh_skill_deploy: %s", text)
	}
	if text := ann.works("get_skill", args{"name": "review"}); !strings.Contains(text, "Files of its bundle, which the mesh has no copy of: SKILL.md, more/list.md") || strings.Contains(text, "<system-reminder>") {
		t.Errorf("get_skill: %s", text)
	}
	if text, failed := ann.call("mesh_skill_deploy", args{}); !failed || !strings.Contains(text, "give file_id or git_url") {
		t.Errorf("without a source: %s", text)
	}
}
