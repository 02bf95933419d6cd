package broker

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// A fuzzedMesh is a live broker with a peer that must not notice that it is
// being fuzzed.
type fuzzedMesh struct {
	*testBroker
	log      *lockedBuffer
	witness  *testMember
	w        *testPeer
	attacker *testMember
	courier  *testMember
	revoked  seal.Invite
	runs     atomic.Int64
}

func newFuzzedMesh(f *testing.F) *fuzzedMesh {
	f.Helper()
	m := &fuzzedMesh{log: new(lockedBuffer)}
	m.testBroker = newBroker(f, func(c *Config) {
		c.Log, c.Rate, c.Burst, c.MailboxCap, c.MaxConnections = m.log.errors(), 1e9, 1e9, 50, 1e6
		c.Grace, c.Lease = 200*time.Millisecond, 200*time.Millisecond
	}, eagerly)
	m.witness, m.attacker, m.courier = m.join("witness"), m.join("attacker"), m.join("courier")
	m.w = m.witness.modern("w")
	return m
}

// states are the ways a connection can be in when the frames come.
var states = []func(*fuzzedMesh) *testPeer{
	(*fuzzedMesh).stranger, (*fuzzedMesh).fresh, (*fuzzedMesh).busy, (*fuzzedMesh).returned, (*fuzzedMesh).draining, (*fuzzedMesh).mute,
}

func (m *fuzzedMesh) stranger() *testPeer { return m.dial() }
func (m *fuzzedMesh) fresh() *testPeer    { return m.attacker.old("a") }
func (m *fuzzedMesh) mute() *testPeer     { return m.attacker.command(false) }
func (m *fuzzedMesh) draining() *testPeer {
	m.w.send(m.attacker.pub(), "waits")
	return m.attacker.command(true)
}

func (m *fuzzedMesh) busy() *testPeer {
	p := m.attacker.modern("b")
	p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
	m.w.send(p.key, "is held")
	m.w.send(p.key, "is pushed", map[string]any{"priority": "now"})
	return p
}

func (m *fuzzedMesh) returned() *testPeer {
	key := must(seal.Generate())
	p := m.connect(m.attacker.keyed(m.attacker.hello("r"), key))
	m.w.send(p.key, "is leased")
	p.drop()
	return m.connect(m.attacker.keyed(m.attacker.hello("r"), key))
}

// FuzzFrames sends frames to a live broker. The first byte picks the state of
// the connection; the others are a program that builds frames: each of its
// lines is raw, or, after a digit or letter, a frame of the index that the
// rest of the line mutates.
func FuzzFrames(f *testing.F) {
	seeds := []string{"{\"type\":\"mesh_info\"}", "{\"type\":\"hello\"}\nnull\n[]", "\xff\xfe", strings.Repeat("{\n", 12)}
	for i := range frameTemplates("", "") {
		seeds = append(seeds, fmt.Sprintf("%c", 'a'+i), fmt.Sprintf("%c0=null", 'a'+i), fmt.Sprintf("%c1=[{}]\n%c2=\"*\"", 'a'+i, 'a'+i), fmt.Sprintf("%c0=-1e999", 'a'+i))
	}
	for i, s := range seeds {
		for state := range states {
			if i < 4 || i%len(states) == state {
				f.Add(append([]byte{byte(state)}, s...))
			}
		}
	}
	m := newFuzzedMesh(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 4096 {
			return
		}
		m.t, m.w.t = t, t
		m.enlist()
		p := states[int(data[0])%len(states)](m)
		served := make(chan struct{})
		go func() {
			defer close(served)
			for !p.last() {
			}
		}()
		for _, frame := range append(m.framesOf(string(data[1:])), []byte(`{"type":"mesh_info","_reqId":"last"}`)) {
			if p.ws.Write(t.Context(), websocket.MessageText, frame) != nil {
				break // the broker has closed it
			}
		}
		<-served
		p.drop()
		m.check(t)
	})
}

// last reads a frame and reports whether it is the answer to the last one, or
// the end of the connection.
func (p *testPeer) last() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := p.ws.Read(ctx)
	return err != nil || bytes.Contains(data, []byte(`"_reqId":"last"`))
}

// enlist makes the attacker a member again where it has left the mesh.
func (m *fuzzedMesh) enlist() {
	mesh := m.srv.meshByID(m.mesh)
	mesh.mu.Lock()
	here := mesh.members[m.attacker.id] != nil
	mesh.mu.Unlock()
	if !here {
		m.attacker = m.join("attacker")
	}
}

// framesOf builds the frames of a program.
func (m *fuzzedMesh) framesOf(program string) [][]byte {
	var frames [][]byte
	templates := frameTemplates(m.w.key, m.attacker.id)
	for line := range strings.SplitSeq(program, "\n") {
		if line == "" || line[0] < 'a' || int(line[0]-'a') >= len(templates) {
			frames = append(frames, []byte(line))
			continue
		}
		fields := templates[line[0]-'a']
		if fields["type"] == "hello" {
			maps.Copy(fields, fieldsOf(m.attacker.hello("f")))
		}
		for change := range strings.SplitSeq(line[1:], ";") {
			mutate(fields, change)
		}
		if data, err := json.Marshal(fields); err == nil {
			frames = append(frames, data)
		}
	}
	return frames[:min(len(frames), 50)]
}

// mutate replaces the field with a number by a JSON text: "2=null". A field
// that gets no JSON is dropped.
func mutate(fields map[string]any, change string) {
	where, what, ok := strings.Cut(change, "=")
	if !ok || where == "" {
		return
	}
	names := slices.Sorted(maps.Keys(fields))
	if len(names) == 0 {
		return
	}
	name := names[int(where[0])%len(names)]
	if json.Valid([]byte(what)) {
		fields[name] = json.RawMessage(what)
	} else {
		delete(fields, name)
	}
}

// frameTemplates are valid requests of every type, with all their fields.
func frameTemplates(to, id string) []map[string]any {
	values := map[string]map[string]any{
		"send": {"id": "m1", "targetSpec": to, "priority": "next", "nonce": "AA==", "ciphertext": "AA==", "exclude": []any{to}, "replyTo": "x", "receipt": "seen"},
		"hello": {"groups": []any{group("eng", "lead")}, "transient": false, "drain": false, "instance": "i", "role": "r", "hostname": "h", "model": "m",
			"channel": "c", "peerType": "ai"},
		"client_ack":     {"messageIds": []any{id}, "state": "seen"},
		"message_status": {"messageId": id},
		"set_status":     {"status": "working", "source": "jsonl"},
		"set_summary":    {"summary": "s"},
		"set_visible":    {"visible": true},
		"set_profile":    {"avatar": "a", "title": "t", "bio": "b", "capabilities": []any{"c"}},
		"set_stats":      {"stats": map[string]any{"messagesIn": 1, "messagesOut": 2, "toolCalls": 3, "uptime": 4.5, "errors": 0}},
		"join_group":     {"name": "@eng/web", "role": "lead"},
		"leave_group":    {"name": "eng/web"},
		"list_peers":     {"group": "eng", "members": true},
	}
	var all []map[string]any
	for _, e := range wire.Index() {
		if e.Direction != wire.ToBroker {
			continue
		}
		f := map[string]any{"type": string(e.Type), "_reqId": "r"}
		maps.Copy(f, values[string(e.Type)])
		all = append(all, f)
	}
	return all
}

// check fails unless the broker is well: the witness gets a message, nothing
// failed inside, and, now and then, the store is whole.
func (m *fuzzedMesh) check(t *testing.T) {
	t.Helper()
	text := fmt.Sprint("still here ", m.runs.Add(1))
	to := m.witness.pub()
	sender := m.courier.command(false)
	if ack := sender.send(to, text, map[string]any{"priority": "now", "id": text}); ack["type"] != "ack" {
		t.Fatalf("the witness cannot be reached: %v", ack)
	}
	sender.drop()
	for {
		mail := m.w.mail()
		m.w.say(map[string]any{"type": "client_ack", "messageIds": []any{mail["messageId"]}, "state": "seen"})
		if mail["ciphertext"] == text {
			break
		}
	}
	if log := m.log.String(); log != "" {
		t.Fatalf("the broker failed: %s", log)
	}
	if m.runs.Load()%500 == 1 {
		m.checkStore(t)
	}
}

func (m *fuzzedMesh) checkStore(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+must(store.MeshFile(m.cfg.Data, m.mesh))+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("the store is damaged: %s %v", verdict, err)
	}
	if n := m.srv.queueDepth(); n < 0 {
		t.Fatalf("%d deliveries wait", n)
	}
}

// FuzzJoin sends bodies to POST /join. Nobody gets in by one that was not
// meant to: the fuzzer has an invite that is revoked.
func FuzzJoin(f *testing.F) {
	m := newFuzzedMesh(f)
	m.revoked = m.invite(1, nil)
	m.revokeInvites(m.revoked)
	valid := wire.JoinRequest{InviteToken: m.revoked.Token(), InvitePayload: payload(m.revoked), PeerPubkey: m.attacker.pub(), DisplayName: "x",
		Signature: strings.Repeat("0", 128)}
	for _, change := range []func(*wire.JoinRequest){
		func(*wire.JoinRequest) {},
		func(r *wire.JoinRequest) { r.InvitePayload = nil },
		func(r *wire.JoinRequest) { r.InvitePayload = []any{payload(m.revoked)} },
		func(r *wire.JoinRequest) { r.InviteToken = "" },
		func(r *wire.JoinRequest) { r.PeerPubkey = strings.Repeat("0", 64) },
		func(r *wire.JoinRequest) { r.Signature = "" },
		func(r *wire.JoinRequest) { r.DisplayName = "\u202e" },
	} {
		r := valid
		change(&r)
		f.Add(must(json.Marshal(r)))
	}
	for _, s := range []string{"", "null", "[]", "{", `{"invite_payload":{"v":1e999}}`, "\xff", strings.Repeat("[", 20_000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m.t, m.w.t = t, t
		status, res := m.do(must(http.NewRequestWithContext(t.Context(), "POST", m.base+"/join", bytes.NewReader(body))))
		if status != 400 && status != 401 && status != 413 || res["ok"] != false || res["error"] == nil || res["error"] == "internal" || res["memberId"] != nil {
			t.Fatalf("%d %v", status, res)
		}
		if n := len(m.w.ask("peers_list", map[string]any{"type": "list_peers", "members": true})["members"].([]any)); n != 3 {
			t.Fatalf("%d members", n)
		}
		if log := m.log.String(); log != "" {
			t.Fatalf("the broker failed: %s", log)
		}
	})
}
