package wire

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorIsItsCode(t *testing.T) {
	err := error(&Error{Code: NotFound, Message: "no such message", ID: "1"})
	same := &Error{Code: NotFound, Message: "no such message"}
	tests := map[string]struct {
		err, target error
		want        bool
	}{
		"same code":                 {err, &Error{Code: NotFound}, true},
		"wrapped":                   {fmt.Errorf("status: %w", err), &Error{Code: NotFound}, true},
		"joined":                    {errors.Join(io.EOF, err), &Error{Code: NotFound}, true},
		"other code":                {err, &Error{Code: Forbidden}, false},
		"itself":                    {err, err, true},
		"a message is no wild card": {err, same, false},
		"another kind":              {err, io.EOF, false},
		"of another kind":           {io.EOF, &Error{Code: NotFound}, false},
		"no code":                   {err, &Error{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := errors.Is(tt.err, tt.target); got != tt.want {
				t.Errorf("errors.Is = %v", got)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"no such file: x (not_found)": Errorf(NotFound, "no such file: %s", "x"),
		"not_found":                   &Error{Code: NotFound},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
