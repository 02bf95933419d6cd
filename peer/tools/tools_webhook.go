package tools

import (
	"context"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func webhookTools() []tool {
	return []tool{
		define(tool{
			name: "create_webhook", hint: "webhook http callback github stripe slack ci inbound url integration",
			description: "Make a URL to which a service outside of the mesh posts JSON (GitHub, a CI, Stripe, Slack, curl); what it posts comes as mail, to everyone or to `target`. Returns the URL and its secret, which are shown this once: give them to your user or the service, not to peers.",
		}, createWebhook),
		define(tool{
			name: "list_webhooks", reads: true, hint: "webhooks list",
			description: "List the webhooks of the mesh: name, who made it and, of your own, where it goes and how much has come. URLs are not shown again: rotate_webhook makes a new one.",
		}, listWebhooks),
		define(tool{
			name: "rotate_webhook", hint: "webhook rotate secret leaked new url",
			description: "Give a webhook of yours a new URL and secret, shown this once; the old ones are no longer good.",
		}, rotateWebhook),
		define(tool{
			name: "delete_webhook", hint: "webhook delete remove",
			description: "End a webhook of yours: its URL is no longer good.",
		}, deleteWebhook),
	}
}

type createWebhookArgs struct {
	Name          string `json:"name" doc:"unique in the mesh, such as ci"`
	Target        string `json:"target,omitempty" doc:"who gets it: a peer's name or key, @group or *; everyone if left out"`
	Template      string `json:"template,omitempty" doc:"text of the message, with {{path}} for values of the JSON: {{repository.name}}, {{commits[0].id}}; {{@event}} is the kind of event by the sender's header"`
	Signature     string `json:"signature,omitempty" enum:"github,stripe,slack" doc:"have each request verified in this style"`
	SigningSecret string `json:"signing_secret,omitempty" doc:"what the service signs with; for github the returned secret if left out"`
	Mesh          string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func createWebhook(ctx context.Context, h *hub, in createWebhookArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	req := wire.CreateWebhook{Name: in.Name, Template: in.Template, Signature: wire.HookSignature(in.Signature), SigningSecret: in.SigningSecret}
	if in.Target != "" {
		to, err := m.client.Resolve(ctx, in.Target)
		if err != nil {
			return reply{}, m.explain(err)
		}
		req.Target = to.Target.String()
	}
	ack, err := peer.Call(ctx, m.client, req)
	if err != nil {
		return reply{}, m.explain(err)
	}
	return m.hookReply("Made", &ack), nil
}

// hookReply shows a webhook with its secret.
func (m *mesh) hookReply(done string, ack *wire.WebhookAck) reply {
	return reply{
		data: map[string]any{"mesh": m.slug, "name": ack.Name, "url": ack.URL, "secret": ack.Secret, "target": ack.Target},
		text: fmt.Sprintf("%s the webhook %q in %s, for %s. These are shown this once:\nURL: %s\nsecret: %s\n", done, neutralLine(ack.Name, nameLen), m.slug, neutralLine(ack.Target, 64), ack.URL, ack.Secret),
	}
}

type webhookListArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func listWebhooks(ctx context.Context, h *hub, in webhookListArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		res, err := peer.Call(ctx, m.client, wire.ListWebhooks{})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s (%s)\n", m.slug, plural(len(res.Webhooks), "webhook"))
		for _, w := range res.Webhooks {
			fmt.Fprintf(text, "- %q by %s", neutralLine(w.Name, nameLen), neutralLine(w.CreatedBy, nameLen))
			if w.Mine {
				fmt.Fprintf(text, ", for %s, %s so far", neutralLine(w.Target, 64), plural(int(w.Received), "message"))
			}
			if w.GivenUp > 0 {
				fmt.Fprintf(text, ", %d given up unseen", w.GivenUp)
			}
			if w.Signature != "" {
				fmt.Fprintf(text, ", signed as %s", w.Signature)
			}
			text.WriteString("\n")
		}
		return res.Webhooks, nil
	})
}

type rotateWebhookArgs struct {
	Name          string `json:"name"`
	SigningSecret string `json:"signing_secret,omitempty" doc:"what the service signs with from now on; as before if left out"`
	Mesh          string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func rotateWebhook(ctx context.Context, h *hub, in rotateWebhookArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	ack, err := peer.Call(ctx, m.client, wire.RotateWebhook{Name: in.Name, SigningSecret: in.SigningSecret})
	if err != nil {
		return reply{}, m.explain(err)
	}
	return m.hookReply("Rotated", &ack), nil
}

type webhookNameArgs struct {
	Name string `json:"name"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func deleteWebhook(ctx context.Context, h *hub, in webhookNameArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if _, err := peer.Call(ctx, m.client, wire.DeleteWebhook{Name: in.Name}); err != nil {
		return reply{}, m.explain(err)
	}
	return reply{data: map[string]any{"mesh": m.slug, "name": in.Name, "deleted": true},
		text: fmt.Sprintf("Deleted the webhook %q in %s: its URL is no longer good.", neutralLine(in.Name, nameLen), m.slug)}, nil
}
