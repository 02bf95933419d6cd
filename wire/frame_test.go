package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPeekReadsTheHead(t *testing.T) {
	long := strings.Repeat("é", MaxReqID)
	tests := map[string]struct {
		in   string
		want Head
	}{
		"type alone":                    {`{"type":"send"}`, Head{Type: "send"}},
		"with _reqId":                   {`{"type":"send","_reqId":"r1"}`, Head{"send", "r1"}},
		"head last":                     {`{"a":{"type":"no","_reqId":"no"},"_reqId":"r1","type":"send"}`, Head{"send", "r1"}},
		"space around":                  {" \r\n\t{ \"type\" : \"send\" } \n", Head{Type: "send"}},
		"a type nobody knows":           {`{"type":"Send me"}`, Head{Type: "Send me"}},
		"escaped type":                  {`{"type":"\u0073end"}`, Head{Type: "send"}},
		"_reqId null":                   {`{"type":"send","_reqId":null}`, Head{Type: "send"}},
		"_reqId empty":                  {`{"type":"send","_reqId":""}`, Head{Type: "send"}},
		"_reqId escaped":                {`{"type":"send","_reqId":"\u0000\"\n"}`, Head{"send", "\x00\"\n"}},
		"longest _reqId, in characters": {`{"type":"send","_reqId":"` + long + `"}`, Head{"send", long}},
		"the last of a repeated key":    {`{"type":"a","_reqId":"1","type":"b","_reqId":"2"}`, Head{"b", "2"}},
		"nesting in a field not read":   {`{"type":"send","x":` + nested(5000) + `}`, Head{Type: "send"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Peek([]byte(tt.in))
			if err != nil || got != tt.want {
				t.Errorf("Peek = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestPeekRefuses(t *testing.T) {
	tests := map[string]struct {
		in   string
		code Code
		typ  Type // known even so, for the answer
	}{
		"nothing":                     {"", Malformed, ""},
		"no JSON":                     {"hello", Malformed, ""},
		"cut short":                   {`{"type":"send"`, Malformed, ""},
		"more behind it":              {`{"type":"send"}{}`, Malformed, ""},
		"null":                        {"null", Malformed, ""},
		"an array":                    {`[{"type":"send"}]`, Malformed, ""},
		"a string":                    {`"send"`, Malformed, ""},
		"no type":                     {`{}`, Malformed, ""},
		"type null":                   {`{"type":null}`, Malformed, ""},
		"type empty":                  {`{"type":""}`, Malformed, ""},
		"type a number":               {`{"type":1}`, Malformed, ""},
		"type an object":              {`{"type":{"type":"send"}}`, Malformed, ""},
		"type taken back":             {`{"type":"send","type":null}`, Malformed, ""},
		"UTF-8 broken in the type":    {"{\"type\":\"s\xff\"}", Malformed, ""},
		"UTF-8 broken elsewhere":      {"{\"type\":\"send\",\"x\":\"\xc3\x28\"}", Malformed, ""},
		"UTF-16":                      {"\xff\xfe{\x00}\x00", Malformed, ""},
		"byte order mark":             {"\ufeff{\"type\":\"send\"}", Malformed, ""},
		"nesting without end":         {strings.Repeat("[", 1<<20), Malformed, ""},
		"nesting too deep":            {`{"type":"send","x":` + nested(20000) + `}`, Malformed, ""},
		"_reqId a number":             {`{"type":"send","_reqId":1}`, BadRequest, "send"},
		"_reqId true":                 {`{"type":"send","_reqId":true}`, BadRequest, "send"},
		"_reqId an array":             {`{"type":"send","_reqId":["r"]}`, BadRequest, "send"},
		"_reqId an object":            {`{"type":"send","_reqId":{}}`, BadRequest, "send"},
		"_reqId a character too long": {`{"type":"send","_reqId":"` + strings.Repeat("é", MaxReqID+1) + `"}`, BadRequest, "send"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := Peek([]byte(tt.in))
			if !errors.Is(err, &Error{Code: tt.code}) {
				t.Errorf("error %v, want code %s", err, tt.code)
			}
			if h != (Head{Type: tt.typ}) {
				t.Errorf("head %+v, want only the type %q", h, tt.typ)
			}
		})
	}
}

func TestDecodeNamesTheField(t *testing.T) {
	digits := strings.Repeat("1", 1<<10)
	tests := map[string]struct {
		in   string
		into any
		want string
	}{
		"string":         {`{"targetSpec":1}`, &Send{}, `"targetSpec" must be a string, not number`},
		"named string":   {`{"priority":{}}`, &Send{}, `"priority" must be a string, not object`},
		"array":          {`{"exclude":"a"}`, &Send{}, `"exclude" must be an array, not string`},
		"element":        {`{"exclude":["a",1]}`, &Send{}, `"exclude" must be a string, not number`},
		"object":         {`{"stats":[]}`, &SetStats{}, `"stats" must be an object, not array`},
		"number":         {`{"stats":{"uptime":"1"}}`, &SetStats{}, `"stats.uptime" must be a number, not string`},
		"no such number": {`{"stats":{"uptime":1e400}}`, &SetStats{}, `"stats.uptime" must be a number, not number 1e400`},
		"whole number":   {`{"pid":1.5}`, &Hello{}, `"pid" must be a whole number, not number 1.5`},
		"flag":           {`{"transient":1}`, &Hello{}, `"transient" must be true or false, not number`},
		"pointer":        {`{"visible":"yes"}`, &SetVisible{}, `"visible" must be true or false, not string`},
		"in an array":    {`{"groups":[{"name":"a"},{"name":true}]}`, &Hello{}, `"groups.name" must be a string, not bool`},
		"time":           {`{"createdAt":"noon"}`, &Push{}, `"createdAt" must be a time such as 2006-01-02T15:04:05.000Z, not "noon"`},
		"time, nested":   {`{"peers":[{"connectedAt":7}]}`, &PeersList{}, `"peers.connectedAt" must be a time such as 2006-01-02T15:04:05.000Z, not 7`},
		"the whole":      {`[]`, &Send{}, `a frame must be an object, not array`},
		"long value":     {`{"pid":` + digits + `}`, &Hello{}, `"pid" must be a whole number, not number ` + digits[:53] + `…`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, ok := errors.AsType[*Error](Decode([]byte(tt.in), tt.into))
			if !ok || e.Code != BadRequest || e.Message != tt.want {
				t.Errorf("got  %v\nwant %s", e, tt.want)
			}
		})
	}
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	var got Send
	if err := Decode([]byte(`{"type":"send","_reqId":"r","id":"1","later":{"a":[1]}}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Send{ID: "1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeReportsBadJSON(t *testing.T) {
	if err := Decode([]byte(`{"id":`), &Send{}); !errors.Is(err, &Error{Code: BadRequest}) {
		t.Errorf("error %v, want code %s", err, BadRequest)
	}
}

func TestAppendPutsTheHeadInFront(t *testing.T) {
	tests := map[string]struct {
		reqID string
		f     Frame
		want  string
	}{
		"empty payload":            {"", ListPeers{}, `{"type":"list_peers"}`},
		"empty payload with reqId": {"r", MeshInfo{}, `{"type":"mesh_info","_reqId":"r"}`},
		"payload":                  {"", LeaveGroup{Name: "a"}, `{"type":"leave_group","name":"a"}`},
		"payload with reqId":       {"r", LeaveGroup{Name: "a"}, `{"type":"leave_group","_reqId":"r","name":"a"}`},
		"pointer":                  {"r", &LeaveGroup{Name: "a"}, `{"type":"leave_group","_reqId":"r","name":"a"}`},
		"error":                    {"r", Errorf(Limit, "full"), `{"type":"error","_reqId":"r","code":"limit","message":"full"}`},
		"reqId escaped":            {"\"\\\n", MeshInfo{}, `{"type":"mesh_info","_reqId":"\"\\\n"}`},
		"reqId injecting":          {`","type":"send`, MeshInfo{}, `{"type":"mesh_info","_reqId":"\",\"type\":\"send"}`},
		"reqId in plain ASCII":     {"<&>\x7f", MeshInfo{}, "{\"type\":\"mesh_info\",\"_reqId\":\"<&>\x7f\"}"},
		"reqId in broken UTF-8":    {"\xff", MeshInfo{}, `{"type":"mesh_info","_reqId":"\ufffd"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Append([]byte("before"), tt.reqID, tt.f)
			if err != nil || string(got) != "before"+tt.want {
				t.Errorf("Append = %s, %v\nwant before%s", got, err, tt.want)
			}
		})
	}
}

func TestAppendReportsWhatCannotBeEncoded(t *testing.T) {
	_, err := Append(nil, "", Push{EventData: json.RawMessage("{")})
	if err == nil || !strings.Contains(err.Error(), "push") {
		t.Errorf("error %v, want one that names the frame", err)
	}
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}
