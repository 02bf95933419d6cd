package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"claudemesh/wire"
)

// A tool is an entry of the table.
type tool struct {
	name        string
	description string // for a model: when to use it, what it does, what comes back
	hint        string // words by which a search finds it
	core        bool   // listed with `--tools core`
	always      bool   // shown to the model without a search, where the host knows how
	reads       bool   // it changes nothing
	schema      json.RawMessage
	call        func(ctx context.Context, h *hub, args json.RawMessage) (reply, error)
}

// A reply is a tool's result: the same for programs and for reading.
type reply struct {
	data   any // encodes to a JSON object
	text   string
	failed bool
	// passed, unless nil, is the result of a peer's tool, which is handed on in
	// the place of data; text is a note at its end then.
	passed wire.Value
}

// table is all tools, by theme.
func table() []tool {
	return slices.Concat(
		messageTools(), presenceTools(), searchTools(), meshTools(), peerFileTools(), fileTools(),
		stateTools(), memoryTools(), contextTools(),
		taskTools(), reserveTools(),
		scheduleTools(), clockTools(), webhookTools(), urlWatchTools(),
		streamTools(), skillTools(), mcpTools(), serviceTools(), vaultTools(), auditTools(),
	)
}

// chosen returns the tools that a --tools value names: core, all, or a list.
func chosen(which string) ([]tool, error) {
	all := table()
	switch which {
	case "", "all":
		return all, nil
	case "core":
		return slices.DeleteFunc(all, func(t tool) bool { return !t.core }), nil
	}
	var out []tool
	for name := range strings.SplitSeq(which, ",") {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, svcPrefix) { // whether there is such a one, its mesh says later
			continue
		}
		i := slices.IndexFunc(all, func(t tool) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no tool %q: --tools takes core, all, or names of %s", name, strings.Join(Names(), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// Names returns the names of all tools, for permissions and completion.
func Names() []string {
	var names []string
	for _, t := range table() {
		names = append(names, t.name)
	}
	return names
}

// handler makes the call of a tool from a function with typed arguments.
func handler[In any](f func(context.Context, *hub, In) (reply, error)) (json.RawMessage, func(context.Context, *hub, json.RawMessage) (reply, error)) {
	return schemaOf(reflect.TypeFor[In]()), func(ctx context.Context, h *hub, args json.RawMessage) (reply, error) {
		var in In
		if len(bytes.TrimSpace(args)) == 0 || string(args) == "null" {
			args = json.RawMessage("{}")
		}
		dec := json.NewDecoder(bytes.NewReader(args))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return reply{}, fmt.Errorf("the arguments cannot be read: %s; see the tool's schema", misfit(err))
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return reply{}, errors.New("the arguments are more than one object")
		}
		if missing := missingArg(reflect.ValueOf(in), args); missing != "" {
			return reply{}, fmt.Errorf("the argument %q is missing", missing)
		}
		return f(ctx, h, in)
	}
}

// misfit says what is wrong with arguments, in words of JSON.
func misfit(err error) string {
	e, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return strings.TrimPrefix(err.Error(), "json: ")
	case e.Field == "":
		return "a value of the kind " + e.Value + " is in the wrong place"
	}
	return fmt.Sprintf("%q cannot be of the kind %s", e.Field, e.Value)
}

// define adds a typed function to an entry of the table.
func define[In any](t tool, f func(context.Context, *hub, In) (reply, error)) tool {
	t.schema, t.call = handler(f)
	return t
}

// A list is one text or several.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(p []byte) error {
	var one string
	if err := json.Unmarshal(p, &one); err == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(p, (*[]string)(l))
}

// schemaOf returns the JSON schema of a struct of arguments. A field's tags
// are json, where omitempty makes it optional; doc, its description; enum, the
// values it may have.
func schemaOf(t reflect.Type) json.RawMessage {
	properties, required := new(bytes.Buffer), []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !strings.Contains(rest, "omitempty") {
			required = append(required, name)
		}
		if i > 0 {
			properties.WriteByte(',')
		}
		fmt.Fprintf(properties, "%q:{%s", name, typeSchema(f.Type, f.Tag.Get("enum")))
		if doc := f.Tag.Get("doc"); doc != "" {
			text, _ := json.Marshal(doc)
			fmt.Fprintf(properties, `,"description":%s`, text)
		}
		properties.WriteByte('}')
	}
	out := fmt.Sprintf(`{"type":"object","properties":{%s}`, properties)
	if len(required) > 0 {
		names, _ := json.Marshal(required)
		out += fmt.Sprintf(`,"required":%s`, names)
	}
	return json.RawMessage(out + `,"additionalProperties":false}`)
}

func typeSchema(t reflect.Type, enum string) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[wire.Value]():
		return `"type":["object","array","string","number","boolean","null"]`
	case t == reflect.TypeFor[wire.Stamp]():
		return `"type":"string"`
	case t == reflect.TypeFor[scopeArg]():
		return `"type":["string","object"]`
	case t == reflect.TypeFor[list]():
		return `"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]`
	case t == reflect.TypeFor[object]():
		return `"type":"object"`
	case t.Kind() == reflect.Struct:
		schema := schemaOf(t)
		return string(schema[1 : len(schema)-1])
	case t.Kind() == reflect.Slice:
		return fmt.Sprintf(`"type":"array","items":{%s}`, typeSchema(t.Elem(), enum))
	case t.Kind() == reflect.Map:
		return fmt.Sprintf(`"type":"object","additionalProperties":{%s}`, typeSchema(t.Elem(), enum))
	case t.Kind() == reflect.Bool:
		return `"type":"boolean"`
	case t.Kind() == reflect.Float64:
		return `"type":"number"`
	case t.Kind() == reflect.Int:
		return `"type":"integer"`
	case enum != "":
		values, _ := json.Marshal(strings.Split(enum, ","))
		return fmt.Sprintf(`"type":"string","enum":%s`, values)
	}
	return `"type":"string"`
}

// missingArg returns the first required argument that was not given.
func missingArg(in reflect.Value, args json.RawMessage) string {
	var given map[string]json.RawMessage
	if json.Unmarshal(args, &given) != nil {
		return ""
	}
	for i := range in.NumField() {
		name, rest, _ := strings.Cut(in.Type().Field(i).Tag.Get("json"), ",")
		if _, ok := given[name]; !ok && !strings.Contains(rest, "omitempty") {
			return name
		}
	}
	return ""
}

// listed is the tool as the host sees it.
func (t *tool) listed() mcp.Tool {
	out := mcp.NewToolWithRawSchema(t.name, t.description, t.schema)
	out.Annotations = mcp.ToolAnnotation{ReadOnlyHint: mcp.ToBoolPtr(t.reads), DestructiveHint: mcp.ToBoolPtr(false)}
	meta := map[string]any{"anthropic/searchHint": t.hint}
	if t.always {
		meta["anthropic/alwaysLoad"] = true
	}
	out.Meta = mcp.NewMetaFromMap(meta)
	return out
}

// result encodes a reply for the host. Some hosts show a model the text, some
// the structured content: the digest of mail goes into both.
func (r *reply) result(digest string) *mcp.CallToolResult {
	if r.passed != nil {
		return r.passOn(digest)
	}
	data := []byte("{}")
	if r.data != nil {
		if p, err := json.Marshal(r.data); err == nil && len(p) > 1 && p[0] == '{' {
			data = p
		}
	}
	data = neutralJSON(data)
	text := strings.TrimRight(neutral(r.text), "\n")
	if digest != "" {
		note, _ := json.Marshal(digest)
		comma := ","
		if string(data) == "{}" {
			comma = ""
		}
		data = fmt.Appendf(data[:len(data)-1], `%s"unseenMail":%s}`, comma, note)
		text += "\n\n" + strings.TrimRight(digest, "\n")
	}
	res := mcp.NewToolResultStructured(json.RawMessage(data), text)
	res.IsError = r.failed
	return res
}

// neutralJSON makes every text within a result harmless: much of it is what
// peers say of themselves.
func neutralJSON(data []byte) []byte {
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // those of the shared state have any number of digits
	if dec.Decode(&v) != nil {
		return []byte("{}")
	}
	out, err := json.Marshal(neutralValue(v))
	if err != nil {
		return []byte("{}")
	}
	return out
}

func neutralValue(v any) any {
	switch v := v.(type) {
	case string:
		return neutral(v)
	case []any:
		for i := range v {
			v[i] = neutralValue(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, value := range v {
			out[neutral(k)] = neutralValue(value)
		}
		return out
	}
	return v
}
