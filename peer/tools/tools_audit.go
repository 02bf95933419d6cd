package tools

import (
	"context"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func auditTools() []tool {
	return []tool{
		define(tool{
			name: "audit_query", reads: true, hint: "audit log history who did what when",
			description: "See who did what in the mesh and when: joined, sent, set a key, shared or deleted a file, claimed a task. Names and hashes, no contents. Newest first.",
		}, auditQuery),
		define(tool{
			name: "audit_verify", reads: true, hint: "audit log verify tamper hash chain",
			description: "Have the broker verify that its audit log was not altered; says which entry is wrong if it was.",
		}, auditVerify),
	}
}

type auditQueryArgs struct {
	EventType string `json:"event_type,omitempty" doc:"one event only, such as member_joined, message_sent, state_set, file_shared, task_claimed"`
	Limit     int    `json:"limit,omitempty" doc:"at most so many, 1 to 500; 20 if left out"`
	Offset    int    `json:"offset,omitempty" doc:"leave out so many of the newest"`
	Mesh      string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func auditQuery(ctx context.Context, h *hub, in auditQueryArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	limit := 20
	if in.Limit != 0 {
		limit = min(max(in.Limit, 1), wire.MaxAuditPage)
	}
	page, err := peer.Call(ctx, m.client, wire.AuditQuery{Limit: &limit, Offset: max(in.Offset, 0), EventType: in.EventType})
	if err != nil {
		return reply{}, m.explain(err)
	}
	type brief struct {
		ID        int64      `json:"id"`
		EventType string     `json:"eventType"`
		Actor     string     `json:"actor"`
		Payload   wire.Value `json:"payload"`
		CreatedAt wire.Time  `json:"createdAt"`
		Hash      string     `json:"hash"`
	}
	shown := []brief{}
	var text strings.Builder
	for _, e := range page.Entries {
		line := fmt.Sprintf("%d %s %s by %s %s\n", e.ID, e.CreatedAt, neutralLine(e.EventType, nameLen), quote(e.Actor), shortValue(e.Payload))
		if text.Len()+len(line) > listBytes {
			break
		}
		text.WriteString(line)
		shown = append(shown, brief{e.ID, e.EventType, e.Actor, e.Payload, e.CreatedAt, e.Hash})
	}
	switch rest := page.Total - max(in.Offset, 0) - len(shown); {
	case len(shown) == 0:
		fmt.Fprintf(&text, "No such entries in the audit log of %s.", m.slug)
	case rest > 0:
		fmt.Fprintf(&text, "%d older ones: offset %d shows them.", rest, max(in.Offset, 0)+len(shown))
	}
	return reply{data: map[string]any{"mesh": m.slug, "entries": shown, "total": page.Total}, text: text.String()}, nil
}

type auditVerifyArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func auditVerify(ctx context.Context, h *hub, in auditVerifyArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, wire.AuditVerify{})
	if err != nil {
		return reply{}, m.explain(err)
	}
	data := map[string]any{"mesh": m.slug, "valid": res.Valid, "entries": res.Entries, "head": res.Head}
	if res.Valid {
		return reply{data: data, text: fmt.Sprintf("The audit log of %s is as it was written: %d entries, the last with hash %s.", m.slug, res.Entries, res.Head)}, nil
	}
	at := int64(0)
	if res.BrokenAt != nil {
		at = *res.BrokenAt
	}
	data["brokenAt"], data["reason"] = at, res.Reason
	return reply{data: data, text: fmt.Sprintf("The audit log of %s was altered: entry %d is wrong: %s. Tell your user.", m.slug, at, neutralLine(res.Reason, 300))}, nil
}
