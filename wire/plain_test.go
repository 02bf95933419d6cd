package wire

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fullFrames have every field set, so that one that setPlain forgets is found.
func fullFrames() []Frame {
	return []Frame{
		&Send{ID: "c1", TargetSpec: "@eng", Priority: Now, Nonce: "AAEC", Ciphertext: "Y4/+==", Exclude: []string{"8a88", "51aa"}, ReplyTo: "Q1", Receipt: StateSeen},
		&ClientAck{MessageIDs: []string{"Q1", "Q2"}, State: StateDelivered},
	}
}

func TestFramesOfPeersArePlain(t *testing.T) {
	for _, f := range fullFrames() {
		if v := reflect.ValueOf(f).Elem(); !allSet(v) {
			t.Fatalf("%+v: a field is not set", f)
		}
		p, err := Append(nil, "r1", f)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := peekPlain(p); !ok || h != (Head{f.FrameType(), "r1"}) {
			t.Errorf("the head of %s is read as %+v, %t", p, h, ok)
		}
		got := reflect.New(reflect.TypeOf(f).Elem()).Interface()
		if !readPlain(p, got.(plainFrame).setPlain) {
			t.Errorf("%s is not plain", p)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Errorf("%s is read otherwise than it was written\n%s", p, diff)
		}
	}
}

func allSet(v reflect.Value) bool {
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			return false
		}
	}
	return true
}

func TestOnlyPlainObjectsAreReadAsSuch(t *testing.T) {
	for p, want := range map[string]bool{
		`{"a":"b"}`:                    true,
		`{"a":""}`:                     true,
		`{"":"b","a":["x"]}`:           true,
		`{"a":["x","y"],"a":"b"}`:      true,
		``:                             false,
		`{`:                            false,
		`{}`:                           false,
		`{"a"`:                         false,
		`{"a":`:                        false,
		`{"a":"b"`:                     false,
		`{"a":"b",}`:                   false,
		`{"a":"b"}}`:                   false,
		`{"a":"b"} `:                   false,
		`{ "a":"b"}`:                   false,
		`{"a":"b"]`:                    false,
		`{"a":"\u0062"}`:               false,
		`{"\u0061":"b"}`:               false,
		`{"a":"é"}`:                    false,
		"{\"a\":\"\n\"}":               false,
		`{"a":1}`:                      false,
		`{"a":null}`:                   false,
		`{"a":{"b":"c"}}`:              false,
		`{"a":[]}`:                     false,
		`{"a":["x"`:                    false,
		`{"a":["x",`:                   false,
		`{"a":["x",]}`:                 false,
		`{"a":["x"}`:                   false,
		`{"a":[["x"]]}`:                false,
		`["a"]`:                        false,
		`"a"`:                          false,
		`{a:"b"}`:                      false,
		`{"a":"b""c":"d"}`:             false,
		`{"a":"b","c"}`:                false,
		`{"type":"send","id":"unended`: false,
	} {
		if got := readPlain([]byte(p), func(_, _ []byte) bool { return true }); got != want {
			t.Errorf("%s: plain %t, want %t", p, got, want)
		}
	}
}

// FuzzPlain holds what is read in one pass against what encoding/json reads.
func FuzzPlain(f *testing.F) {
	for _, s := range frameSeeds {
		f.Add([]byte(s))
	}
	for _, frame := range fullFrames() {
		p, err := Append(nil, "r1", frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, ok := peekPlain(p); ok {
			var want struct {
				Type  Type   `json:"type"`
				ReqID string `json:"_reqId"`
			}
			if err := json.Unmarshal(p, &want); err != nil || h != Head(want) {
				t.Errorf("the head of %q is read as %+v, not as %+v, %v", p, h, want, err)
			}
		}
		for _, frame := range fullFrames() {
			of := reflect.TypeOf(frame).Elem()
			got, want := reflect.New(of).Interface(), reflect.New(of).Interface()
			if !readPlain(p, got.(plainFrame).setPlain) {
				continue
			}
			if err := json.Unmarshal(p, want); err != nil {
				t.Fatalf("%q is no JSON of a %T: %v", p, want, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q is read otherwise\n%s", p, diff)
			}
		}
	})
}

// BenchmarkReceive reads a send as a broker does.
func BenchmarkReceive(b *testing.B) {
	plain, err := Append(nil, "", fullFrames()[0])
	if err != nil {
		b.Fatal(err)
	}
	for name, p := range map[string][]byte{"plain": plain, "with a blank": append(plain[:len(plain):len(plain)], '\n')} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Peek(p); err != nil {
					b.Fatal(err)
				}
				if err := Decode(p, new(Send)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
