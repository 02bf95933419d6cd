package wire

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAppendPushEqualsEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		p := randomPush(r)
		want := encodeByReflection(t, struct {
			Type Type `json:"type"`
			Push
		}{"push", p})
		sameJSON(t, AppendPush(nil, &p), want)
		viaAppend, err := Append(nil, "", p)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, viaAppend, want)
	}
}

func TestAppendAckEqualsEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		a, reqID := randomAck(r), randomText(r)
		want := encodeByReflection(t, struct {
			Type  Type   `json:"type"`
			ReqID string `json:"_reqId,omitempty"`
			Ack
		}{"ack", reqID, a})
		sameJSON(t, AppendAck(nil, reqID, &a), want)
		viaAppend, err := Append(nil, reqID, a)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, viaAppend, want)
	}
}

func TestAppendersKeepWhatIsThere(t *testing.T) {
	for name, got := range map[string][]byte{
		"push": AppendPush([]byte("before"), &Push{}),
		"ack":  AppendAck([]byte("before"), "", &Ack{}),
	} {
		if !strings.HasPrefix(string(got), `before{"type":"`+name+`"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The frame of a push must not grow unnoticed: every recipient pays for it.
func TestPlainPushIsCompact(t *testing.T) {
	at := time.Date(2023, 11, 14, 22, 13, 25, 0, time.UTC)
	got := AppendPush(nil, &Push{MessageID: "Q1", MeshID: "M1", SenderPubkey: "51aa", Priority: Next,
		Nonce: "AAEC", Ciphertext: "Y47l", CreatedAt: Time(at), Seq: 7})
	const want = `{"type":"push","messageId":"Q1","meshId":"M1","senderPubkey":"51aa","priority":"next",` +
		`"nonce":"AAEC","ciphertext":"Y47l","createdAt":"2023-11-14T22:13:25.000Z","seq":7}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func randomPush(r *rand.Rand) Push {
	p := Push{
		MessageID: randomText(r), MeshID: randomText(r), SenderPubkey: randomText(r),
		Priority: Priority(randomText(r)), Nonce: randomText(r), Ciphertext: randomText(r),
		CreatedAt: Time(time.UnixMilli(r.Int64N(1 << 45))),
		Subtype:   randomText(r), Event: randomText(r),
		TargetSpec: randomText(r), SenderName: randomText(r), SenderMember: randomText(r), ReplyTo: randomText(r),
		ScheduleID: randomText(r),
	}
	if r.IntN(4) == 0 {
		due := Time(time.UnixMilli(r.Int64N(1 << 45)))
		p.ScheduledFor = &due
	}
	if r.IntN(2) == 0 {
		p.Seq = r.Int64() - r.Int64()
	}
	switch r.IntN(4) {
	case 0:
		p.EventData, _ = json.Marshal(map[string]string{randomText(r): randomText(r)})
	case 1:
		p.EventData = json.RawMessage(" {\"a\" : [1.0, \"\u2028<\", null]}\n")
	case 2:
		p.EventData = json.RawMessage("null")
	}
	return p
}

func randomAck(r *rand.Rand) Ack {
	a := Ack{ID: randomText(r), MessageID: randomText(r), Outcome: Outcome(randomText(r)),
		Queued: r.IntN(2) == 0, Unknown: r.IntN(2) == 0, Duplicate: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		a.Recipients = &OutcomeCounts{Sent: r.IntN(3), Held: r.IntN(3), Queued: r.IntN(3), Full: r.IntN(3)}
	}
	return a
}

// randomText is empty, plain, or a mixture of what an encoder can get wrong.
func randomText(r *rand.Rand) string {
	parts := []string{"\"", "\\", "/", "<", ">", "&", "\x00", "\x1f", "\x7f", "\b\f\n\r\t", "\u0080", "\u2028", "\u2029",
		"\ufeff", "\ufffd", "é", "😀", "\xff", "\xc3", "\xed\xa0\x80", "\xf0\x9f", "abc", "0123"}
	switch r.IntN(3) {
	case 0:
		return ""
	case 1:
		return "plain-text_1"
	}
	var b strings.Builder
	for range 1 + r.IntN(8) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func encodeByReflection(t *testing.T, v any) []byte {
	t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	var g, w any
	if !utf8.Valid(got) {
		t.Fatalf("not UTF-8: %q", got)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Fatalf("-want +got\n%s\n%s", diff, got)
	}
}
