package wire

import (
	"encoding/json"
	"testing"
	"time"
)

func TestValueHasOneFormAndReadsPlain(t *testing.T) {
	for in, want := range map[string]struct{ held, plain string }{
		` { "b" : [1, 2.50e1, "<&>"] , "a":null } `: {`{"b":[1,2.50e1,"\u003c\u0026\u003e"],"a":null}`, `{"b":[1,2.50e1,"<&>"],"a":null}`},
		`null`:          {`null`, `null`},
		`"\\u003c\""`:   {`"\\u003c\""`, `"\\u003c\""`},
		`"\u003c\\"`:    {`"\u003c\\"`, `"<\\"`},
		`"\ud800"`:      {`"\ud800"`, `"\ud800"`},
		"\"\u2028\"":    {`"\u2028"`, `"\u2028"`},
		`12345678901e9`: {`12345678901e9`, `12345678901e9`},
	} {
		var v Value
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Fatal(in, err)
		}
		again, err := json.Marshal(v)
		if string(v) != want.held || v.String() != want.plain || string(again) != want.held || err != nil {
			t.Errorf("%s is held as %s, read as %s, written as %s, %v", in, string(v), v, again, err)
		}
	}
}

func TestStampIsATimeOrNothing(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	for in, want := range map[string]Stamp{
		`""`:                               {},
		`null`:                             {},
		`"2026-01-02T05:04:05.6789+02:00"`: StampOf(at),
	} {
		var s Stamp
		if err := json.Unmarshal([]byte(in), &s); err != nil || !s.Equal(want) {
			t.Errorf("%s is %v, %v", in, s, err)
		}
	}
	if s := StampOf(at); s.String() != "2026-01-02T03:04:05.678Z" || s.IsZero() || !(Stamp{}).IsZero() || (Stamp{}).String() != "" {
		t.Error(s)
	}
	for _, in := range []string{`"yesterday"`, `1`, `"2026-01-02"`} {
		if err := json.Unmarshal([]byte(in), new(Stamp)); err == nil {
			t.Errorf("%s is taken for a time", in)
		}
	}
}
