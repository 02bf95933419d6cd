package wire

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestMillisTakesNumbersOnly(t *testing.T) {
	tests := map[string]struct {
		in   string
		want Millis
	}{
		"plain":              {"1700000000000", 1700000000000},
		"zero":               {"0", 0},
		"minus zero":         {"-0", 0},
		"minus zero, float":  {"-0.0", 0},
		"negative":           {"-5", -5},
		"fraction is cut":    {"1700000000000.9", 1700000000000},
		"exponent":           {"17e11", 1700000000000},
		"2^53 as integer":    {"9007199254740992", 1 << 53},
		"2^53 as float":      {"9007199254740992.0", NoMillis},
		"2^63-1":             {"9223372036854775807", math.MaxInt64},
		"2^63":               {"9223372036854775808", NoMillis},
		"-2^63":              {"-9223372036854775808", NoMillis},
		"beyond any float":   {"1e400", NoMillis},
		"below any float":    {"-1e400", NoMillis},
		"vanishing":          {"1e-400", 0},
		"a string":           {`"x"`, NoMillis},
		"a number in quotes": {`"1700000000000"`, NoMillis},
		"infinity in quotes": {`"Infinity"`, NoMillis},
		"null":               {"null", NoMillis},
		"true":               {"true", NoMillis},
		"array":              {"[1]", NoMillis},
		"object":             {"{}", NoMillis},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var h Hello
			if err := Decode([]byte(`{"timestamp":`+tt.in+`}`), &h); err != nil || h.Timestamp != tt.want {
				t.Errorf("%s = %d, %v, want %d", tt.in, h.Timestamp, err, tt.want)
			}
		})
	}
}

func TestWithinIsInclusiveAndBounded(t *testing.T) {
	now := time.UnixMilli(1700000000000)
	tests := map[string]struct {
		m    Millis
		want bool
	}{
		"now":              {MillisOf(now), true},
		"a minute early":   {MillisOf(now.Add(-MaxSkew)), true},
		"a minute late":    {MillisOf(now.Add(MaxSkew)), true},
		"just too early":   {MillisOf(now.Add(-MaxSkew)) - 1, false},
		"just too late":    {MillisOf(now.Add(MaxSkew)) + 1, false},
		"absent":           {0, false},
		"no number":        {NoMillis, false},
		"largest":          {math.MaxInt64, false},
		"wraps around now": {MillisOf(now) - math.MaxInt64, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.m.Within(MaxSkew, now); got != tt.want {
				t.Errorf("Within(%d) = %v", tt.m, got)
			}
		})
	}
}

func TestTimeIsUTCWithThreeDigits(t *testing.T) {
	east := time.FixedZone("east", 3600)
	tests := map[string]struct {
		in   time.Time
		want string
	}{
		"whole second":     {time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC), "2023-11-14T22:13:20.000Z"},
		"cut, not rounded": {time.Date(2023, 11, 14, 22, 13, 20, 1999999, time.UTC), "2023-11-14T22:13:20.001Z"},
		"zone":             {time.Date(2024, 1, 1, 0, 30, 0, 5e6, east), "2023-12-31T23:30:00.005Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(Time(tt.in))
			if err != nil || string(got) != `"`+tt.want+`"` || Time(tt.in).String() != tt.want {
				t.Errorf("%s, %s, %v, want %s", got, Time(tt.in), err, tt.want)
			}
		})
	}
}

func TestTimeTakesRFC3339(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"own form":        {`"2023-11-14T22:13:20.123Z"`, "2023-11-14T22:13:20.123Z"},
		"no fraction":     {`"2023-11-14T22:13:20Z"`, "2023-11-14T22:13:20.000Z"},
		"nanoseconds":     {`"2023-11-14T22:13:20.123456789Z"`, "2023-11-14T22:13:20.123Z"},
		"offset":          {`"2023-11-14T23:13:20+01:00"`, "2023-11-14T22:13:20.000Z"},
		"first":           {`"0000-01-01T00:00:00Z"`, "0000-01-01T00:00:00.000Z"},
		"last":            {`"9999-12-31T23:59:59.999Z"`, "9999-12-31T23:59:59.999Z"},
		"null is no time": {`null`, "0001-01-01T00:00:00.000Z"},
		"before year 0":   {`"0000-01-01T00:00:00+01:00"`, ""},
		"after year 9999": {`"9999-12-31T23:59:59-01:00"`, ""},
		"words":           {`"x"`, ""},
		"empty":           {`""`, ""},
		"a date":          {`"2023-11-14"`, ""},
		"number":          {`1e400`, ""},
		"object":          {`{}`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got Time
			err := json.Unmarshal([]byte(tt.in), &got)
			if (err != nil) != (tt.want == "") {
				t.Fatalf("error %v", err)
			}
			if err == nil && got.String() != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
