package main

import (
	"encoding/json"
	"slices"
	"testing"
)

// A listedTool is a tool of an MCP server as it lists it.
type listedTool struct {
	Name        string
	InputSchema json.RawMessage
}

// dropped says why the host drops a tool without a word to its server: its
// schema is none. Of the rules of JSON Schema these are the ones that a
// generated schema may break.
func (t *listedTool) dropped() string {
	var schema any
	if err := json.Unmarshal(t.InputSchema, &schema); err != nil {
		return err.Error()
	}
	return schemaFault(schema, "schema")
}

func schemaFault(v any, path string) string {
	switch v := v.(type) {
	case []any:
		for _, part := range v {
			if fault := schemaFault(part, path); fault != "" {
				return fault
			}
		}
	case map[string]any:
		if names, ok := v["required"].([]any); ok {
			for i, name := range names {
				if slices.Contains(names[:i], name) {
					return path + "/required must NOT have duplicate items"
				}
			}
		}
		for name, part := range v {
			if fault := schemaFault(part, path+"/"+name); fault != "" {
				return fault
			}
		}
	}
	return ""
}

func TestFakeHostDropsToolsWhoseSchemaIsNone(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`:               "",
		`{"type":"object","properties":{"required":{"type":"array"}}}`:                          "",
		`{"type":"object","properties":{"at":{"type":"object","required":["",""]}}}`:            "schema/properties/at/required must NOT have duplicate items",
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"object","required":[1,2,1]}]}}}`: "schema/properties/a/anyOf/required must NOT have duplicate items",
	} {
		tool := listedTool{InputSchema: json.RawMessage(schema)}
		if got := tool.dropped(); got != want {
			t.Errorf("%s: %q, want %q", schema, got, want)
		}
	}
}
