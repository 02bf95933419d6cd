package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// frameSeeds are frames as peers and brokers send them, and some that nobody should.
var frameSeeds = []string{
	`{"type":"hello","meshId":"M1","memberId":"Ma","pubkey":"8a88","sessionPubkey":"51aa","sessionId":"s-1","pid":4711,` +
		`"cwd":"/home/a","peerType":"ai","groups":[{"name":"eng","role":"lead"}],"timestamp":1700000000000,"signature":"7f2a",` +
		`"proto":2,"sessionSignature":"00","transient":true,"drain":true,"instance":"i"}`,
	`{"type":"hello_ack","presenceId":"P1","memberDisplayName":"Alice","memberProfile":{"roleTag":null,"groups":[],` +
		`"messageMode":"push"},"meshPolicy":{"selfEditable":{"groups":true}},"services":[{"name":"x","tools":[]}],` +
		`"lastSeenAt":"2023-11-14T22:13:20.123Z","restoredStats":{"messagesIn":1}}`,
	`{"type":"send","id":"c1","targetSpec":"@eng","priority":"now","nonce":"AAEC","ciphertext":"Y47l","exclude":["a"]}`,
	`{"type":"ack","id":"c1","messageId":"Q1","queued":true,"outcome":"sent","recipients":{"sent":1,"held":0,"queued":2}}`,
	`{"type":"push","messageId":"Q1","meshId":"M1","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"",` +
		`"createdAt":"2023-11-14T22:13:25.000Z","subtype":"system","event":"peer_left","eventData":{"name":"<A>"},"seq":9}`,
	`{"type":"client_ack","messageIds":["Q1"],"state":"seen","_reqId":"r1"}`,
	`{"type":"message_status_result","deliveredAt":null,"recipients":[{"name":"B","status":"held","attempts":1}]}`,
	`{"type":"set_stats","stats":{"messagesIn":1,"uptime":-0.0,"errors":1e300}}`,
	`{"type":"set_profile","avatar":"","capabilities":[]}`,
	`{"type":"set_visible","visible":null}`,
	`{"type":"peers_list","peers":[{"summary":null,"connectedAt":"9999-12-31T23:59:59-01:00","visible":false}]}`,
	`{"type":"set_state","key":"k","value":{"a": [1, "<\u2028\ud800"]},"ifUpdatedAt":"2023-11-14T22:13:20.1234567+02:00"}`,
	`{"type":"set_state","key":"k","value":null,"ifUpdatedAt":""}`,
	`{"type":"recall","query":"\"a AND (b*","tag":"t","after":"2023-11-14T22:13:20Z","before":"","limit":-1}`,
	`{"type":"state_result","key":"k","value":null,"updatedBy":"","updatedAt":""}`,
	`{"type":"error","code":"ambiguous","message":"","candidates":[{"pubkey":"a"}]}`,
	`{"type":"send","TYPE":"hello","_reqid":"\ud800","targetSpec":"\u2028"}`,
	`{"type":"x","_reqId":1}`, `{"type":"hello","timestamp":1e400}`, `null`, `[]`, `{`, "\xff",
}

func FuzzPeek(f *testing.F) {
	for _, s := range frameSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := Peek(p)
		if err != nil {
			if !errors.Is(err, &Error{Code: Malformed}) && !errors.Is(err, &Error{Code: BadRequest}) {
				t.Errorf("error %v has another code than documented", err)
			}
			return
		}
		if h.Type == "" || !utf8.Valid(p) || utf8.RuneCountInString(h.ReqID) > MaxReqID {
			t.Errorf("accepted %+v", h)
		}
		again, err := Append(nil, h.ReqID, MeshInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Peek(again); err != nil || got.ReqID != h.ReqID {
			t.Errorf("_reqId %q comes back as %q, %v", h.ReqID, got.ReqID, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, s := range frameSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, err := Peek(p); err != nil {
			return // Decode sees what Peek accepted
		}
		for _, e := range Index() {
			first := newFrame(e)
			if err := Decode(p, first); err != nil {
				if !errors.Is(err, &Error{Code: BadRequest}) || utf8.RuneCountInString(err.Error()) > 300 {
					t.Errorf("%s: error %v is no short %s", e.Type, err, BadRequest)
				}
				continue
			}
			reencode(t, e, first)
		}
	})
}

// reencode fails unless first survives being written and read again.
func reencode(t *testing.T, e Entry, first Frame) {
	t.Helper()
	once, err := Append(nil, "", first)
	if err != nil {
		t.Fatalf("%s decodes but does not encode: %v", e.Type, err)
	}
	if h, err := Peek(once); err != nil || h.Type != e.Type {
		t.Fatalf("%s is written with the head %+v, %v", e.Type, h, err)
	}
	second := newFrame(e)
	if err := Decode(once, second); err != nil {
		t.Fatalf("%s cannot read what it wrote: %v\n%s", e.Type, err, once)
	}
	if e.Direction == ToBroker {
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s differs after a round trip\n%s", e.Type, diff)
		}
	}
	twice, err := Append(nil, "", second)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%s is written differently the second time: %v\n%s\n%s", e.Type, err, once, twice)
	}
	fastPaths(t, second, once)
}

// fastPaths holds the hand-written encoders against the general one.
func fastPaths(t *testing.T, f Frame, want []byte) {
	t.Helper()
	switch f := f.(type) {
	case *Push:
		sameJSON(t, AppendPush(nil, f), want)
	case *Ack:
		sameJSON(t, AppendAck(nil, "", f), want)
	}
}

// newFrame returns a pointer to a zero frame of the entry's type.
func newFrame(e Entry) Frame {
	t := reflect.TypeOf(e.Frame)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.New(t).Interface().(Frame)
}

func FuzzTarget(f *testing.F) {
	hex := strings.Repeat("0123456789abcdefABCDEF", 3)
	for _, s := range []string{"", "*", "@", "@all", "@a", "@@a", "@a/b", "@a//b", "@é/1.x", "#c", "tag:x",
		hex[:7], hex[:8], hex[:63], hex[:64], hex[:65], "@\xff", "@a\u2028", "alice"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		target, err := ParseTarget(spec)
		if err != nil {
			if !errors.Is(err, &Error{Code: InvalidTarget}) || len(err.Error()) > 1000 || target != (Target{}) {
				t.Errorf("%+v, %v", target, err)
			}
			return
		}
		if again, err := ParseTarget(target.String()); err != nil || again != target {
			t.Errorf("%q is %+v, written %q, read again %+v, %v", spec, target, target, again, err)
		}
		switch target.Kind {
		case ToKey, ToPrefix:
			if target.String() != strings.ToLower(spec) || (len(target.Name) == 64) != (target.Kind == ToKey) {
				t.Errorf("%q is %+v", spec, target)
			}
		case ToGroup:
			if g, err := CleanGroup(Group{Name: target.Name}); err != nil || !g.Matches(target.Name) {
				t.Errorf("group %q cannot be joined: %v", target.Name, err)
			}
		}
	})
}
