package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// calledJSON is what a tool gave.
type calledJSON struct {
	Server string     `json:"server"` // name of the tool server
	Tool   string     `json:"tool"`   // name of the tool
	Result wire.Value `json:"result"` // as the server gave it: content, structuredContent, isError
}

func callCommand() Command {
	var whole string
	return Command{
		Name: "call", Theme: Share, Args: "<server> <tool> [key=value]...", Short: "Call a tool of a server of the mesh",
		Long: `The tool runs on the machine of its host, or on the broker if it is a service's, for 30 s
at most. A value is what the
tool's schema says it is: a text, or JSON. What it prints are words of a peer.`,
		Examples: []string{"claudemesh call db query sql='select 1'", `claudemesh call db query --args '{"sql": "select 1"}' --json`},
		Mesh:     true, JSON: true, Output: calledJSON{},
		Complete: map[string]Completer{"server": serviceNames},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&whole, "args", "", "the arguments as a JSON `object`")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				server, tool := args[0], args[1]
				given, err := toolArguments(ctx, c, server, tool, whole, args[2:])
				if err != nil {
					return err
				}
				done := env.Progress("calling " + CleanLine(tool))
				result, err := c.CallTool(ctx, server, tool, given)
				done()
				if err != nil {
					return err
				}
				return printCalled(env, calledJSON{Server: server, Tool: tool, Result: result})
			})
		},
	}
}

// toolArguments are the arguments that whole and the pairs give. Whether a value
// is a text, the schema of the tool says.
func toolArguments(ctx context.Context, c *peer.Client, server, tool, whole string, pairs []string) (wire.Value, error) {
	out := make(map[string]wire.Value)
	if whole != "" {
		if err := json.Unmarshal([]byte(whole), &out); err != nil || out == nil {
			return nil, Usagef("--args must be a JSON object")
		}
	}
	var texts map[string]bool
	if len(pairs) > 0 {
		var err error
		if texts, err = textArguments(ctx, c, server, tool); err != nil {
			return nil, err
		}
	}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, Usagef("%s: give arguments as key=value", pair)
		}
		v := wire.Value(nil)
		if texts[key] || json.Unmarshal([]byte(value), &v) != nil {
			p, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			v = p
		}
		out[key] = v
	}
	return json.Marshal(out)
}

// textArguments returns which arguments of a tool are texts by its schema.
func textArguments(ctx context.Context, c *peer.Client, server, tool string) (map[string]bool, error) {
	servers, err := toolServers(ctx, c, server)
	texts := make(map[string]bool)
	for _, s := range servers {
		for _, t := range s.Tools {
			var schema struct {
				Properties map[string]struct {
					Type any `json:"type"`
				} `json:"properties"`
			}
			if t.Name != tool || json.Unmarshal(t.InputSchema, &schema) != nil {
				continue
			}
			for name, p := range schema.Properties {
				texts[name] = p.Type == "string"
			}
		}
	}
	return texts, err
}

// printCalled prints a result. One that says it is an error ends the program
// with 1.
func printCalled(env *Env, out calledJSON) error {
	var res struct {
		Content []struct {
			Type, Text, Data, MimeType string
		}
		StructuredContent wire.Value
		IsError           bool
	}
	known := json.Unmarshal(out.Result, &res) == nil && res.Content != nil
	switch {
	case env.JSON:
		if err := env.Out().JSON(out); err != nil {
			return err
		}
	case !known:
		env.Out().Text(plainResult(out.Result))
	default:
		for _, b := range res.Content {
			if b.Type == "text" {
				env.Out().Text(b.Text)
				continue
			}
			env.Out().Printf("[%s %s, %d bytes in base64: --json has it]\n", b.Type, b.MimeType, len(b.Data))
		}
		if len(res.Content) == 0 && len(res.StructuredContent) > 0 {
			env.Out().Text(res.StructuredContent.String())
		}
	}
	if known && res.IsError {
		return fmt.Errorf("the tool %s of %s says that it failed", out.Tool, out.Server)
	}
	return nil
}

// plainResult is what a host of an older version gave: a text, or JSON.
func plainResult(v wire.Value) string {
	var text string
	switch {
	case len(v) == 0:
		return "It gave nothing."
	case json.Unmarshal(v, &text) == nil:
		return text
	}
	return v.String()
}
