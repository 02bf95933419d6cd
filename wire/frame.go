package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// Type names a frame on the wire.
type Type string

// A Frame is a payload that knows its own name on the wire. It encodes to
// a JSON object without type and _reqId, which Append writes in front.
type Frame interface{ FrameType() Type }

// A Request is a frame that is answered by a Resp.
type Request[Resp Frame] interface {
	Frame
	answer() Resp
}

// Head is the part that every frame has.
type Head struct {
	Type Type
	// ReqID correlates an answer with its request: opaque, at most
	// MaxReqID characters, empty where no answer is wanted.
	ReqID string
}

// Peek reads only the head of a frame. Its error is an *Error with the code
// Malformed where p is no JSON object with a type, and BadRequest where the
// _reqId is not a short string.
func Peek(p []byte) (Head, error) {
	if h, ok := peekPlain(p); ok {
		return h, nil
	}
	var raw struct {
		Type  *Type           `json:"type"`
		ReqID json.RawMessage `json:"_reqId"`
	}
	if !utf8.Valid(p) {
		return Head{}, Errorf(Malformed, "frame is not UTF-8")
	}
	if err := json.Unmarshal(p, &raw); err != nil || raw.Type == nil || *raw.Type == "" {
		return Head{}, Errorf(Malformed, "frame is not a JSON object with a type")
	}
	h := Head{Type: *raw.Type}
	if len(raw.ReqID) == 0 || string(raw.ReqID) == "null" {
		return h, nil
	}
	if err := json.Unmarshal(raw.ReqID, &h.ReqID); err != nil {
		return h, Errorf(BadRequest, "_reqId must be a string")
	}
	if utf8.RuneCountInString(h.ReqID) > MaxReqID {
		h.ReqID = ""
		return h, Errorf(BadRequest, "_reqId is longer than %d characters", MaxReqID)
	}
	return h, nil
}

// peekPlain is Peek for a frame that is plain, and has a head as it should be.
func peekPlain(p []byte) (h Head, ok bool) {
	ok = readPlain(p, func(name, value []byte) bool {
		switch {
		case string(name) == "type":
			return setText(&h.Type, value)
		case string(name) == "_reqId":
			return setText(&h.ReqID, value)
		}
		// encoding/json takes a name in any spelling.
		return !bytes.EqualFold(name, []byte("type")) && !bytes.EqualFold(name, []byte("_reqId"))
	})
	return h, ok && h.Type != "" && len(h.ReqID) <= MaxReqID
}

// Decode reads the payload of a frame into f. Its error is an *Error with
// the code BadRequest that names the field.
func Decode(p []byte, f any) error {
	if plain, ok := f.(plainFrame); ok && readPlain(p, plain.setPlain) {
		return nil
	}
	err := json.Unmarshal(p, f)
	if err == nil {
		return nil
	}
	if te, ok := err.(*json.UnmarshalTypeError); ok {
		what := "a frame"
		if te.Field != "" {
			what = strconv.Quote(te.Field)
		}
		return Errorf(BadRequest, "%s must be %s, not %s", what, jsonKind(te.Type), Shorten(te.Value, 60))
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	return Errorf(BadRequest, "%v", err)
}

// jsonKind names a Go type as its reader on the wire knows it.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		if t == reflect.TypeFor[Time]() {
			return "a time such as " + isoLayout
		}
		return "an object"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// Append appends f to dst as one JSON object with its head in front.
func Append(dst []byte, reqID string, f Frame) ([]byte, error) {
	body, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", f.FrameType(), err)
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, f.FrameType()...)
	dst = append(dst, '"')
	if reqID != "" {
		dst = append(dst, `,"_reqId":`...)
		dst = appendString(dst, reqID)
	}
	if bytes.Equal(body, []byte("{}")) {
		return append(dst, '}'), nil
	}
	dst = append(dst, ',')
	return append(dst, body[1:]...), nil
}

// appendString appends s as a JSON string. Text without anything to escape,
// nearly all there is on the hot path, is copied as it stands.
func appendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			q, _ := json.Marshal(s) // a string always encodes
			return append(dst, q...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
