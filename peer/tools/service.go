package tools

import (
	"cmp"
	"fmt"

	"claudemesh/wire"
)

// serviceLine says in a line what happened to a deployed service.
func serviceLine(p *wire.Push) string {
	name := func(s string) string { return neutralLine(s, nameLen) }
	switch p.Event {
	case wire.EventMCPDeployed:
		var e wire.MCPDeployed
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		return fmt.Sprintf("[SERVICE] \"%s\" deployed (%s) by %s", name(e.Name), plural(e.ToolCount, "tool"), name(e.DeployedBy))
	case wire.EventMCPUndeployed:
		var e wire.MCPUndeployed
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		return fmt.Sprintf("[SERVICE] \"%s\" undeployed by %s", name(e.Name), name(e.By))
	case wire.EventMCPScopeChanged:
		var e wire.MCPScopeChanged
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		scope, err := e.Scope.MarshalJSON()
		if err != nil {
			return ""
		}
		return fmt.Sprintf("[SERVICE] \"%s\" scope changed to %s by %s", name(e.Name), jsonLine(scope, 200), name(e.By))
	case wire.EventMCPCrashed:
		var e wire.MCPCrashed
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		return fmt.Sprintf("[SERVICE] \"%s\" crashed after %s: %s", name(e.Name), plural(e.Restarts, "restart"), cmp.Or(neutralLine(e.Error, 300), "nothing is known of why"))
	case wire.EventMCPUpdated:
		var e wire.MCPUpdated
		if wire.Decode(p.EventData, &e) != nil {
			return ""
		}
		line := fmt.Sprintf("[SERVICE] \"%s\" updated (%s)", name(e.Name), plural(len(e.Tools), "tool"))
		if e.NewSHA != "" && e.NewSHA != e.PrevSHA {
			line += fmt.Sprintf(" from %s to %s", cmp.Or(shortSHA(e.PrevSHA), "nothing"), shortSHA(e.NewSHA))
		}
		return line
	}
	return ""
}

// shortSHA is as much of a commit as people use.
func shortSHA(sha string) string { return neutralLine(sha[:min(len(sha), 12)], 12) }
