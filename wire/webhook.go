package wire

// CreateWebhook makes an address to which programs outside of the mesh post
// JSON, which is then sent to the mesh as a message. It is answered by a
// WebhookAck or an Error.
type CreateWebhook struct {
	Name string `json:"name"` // 1 to MaxWebhookName characters, of no other webhook of the mesh
	// Target is who gets what is posted, as in Send; everyone if left out.
	Target string `json:"target,omitempty"`
	// Template is the text of the message, with {{path}} where a value of what
	// is posted goes: {{repository.name}}, {{commits[0].id}}, {{@event}} for the
	// kind of event that the header of the sender names, {{@name}} for the name
	// of the webhook. If left out, the message has no text but its data.
	Template string `json:"template,omitempty"`
	// Signature has each request verified in the style of a sender.
	Signature HookSignature `json:"signature,omitempty"`
	// SigningSecret is what the sender signs with. If it is left out, that is
	// the secret of the webhook; only the style of GitHub can do without.
	SigningSecret string `json:"signingSecret,omitempty"`
}

// HookSignature is how a sender proves that a request is from it.
type HookSignature string

// The styles, each HMAC-SHA-256 in hex. The times that they carry may be
// SignatureSkew off.
const (
	GitHubSignature HookSignature = "github" // X-Hub-Signature-256: sha256=…, of the body
	StripeSignature HookSignature = "stripe" // Stripe-Signature: t=…,v1=…, of t, a dot and the body
	SlackSignature  HookSignature = "slack"  // X-Slack-Signature: v0=…, of v0:, X-Slack-Request-Timestamp, a colon and the body
)

// WebhookAck answers CreateWebhook and RotateWebhook, and DeleteWebhook with
// the name alone.
type WebhookAck struct {
	Name string `json:"name"`
	// URL is where to post. It contains the secret, and so is shown this once:
	// the broker keeps a hash of it.
	URL    string `json:"url"`
	Secret string `json:"secret"`           // 64 hex digits
	Target string `json:"target,omitempty"` // who gets what is posted
}

// ListWebhooks asks for the webhooks of the mesh.
type ListWebhooks struct{}

// WebhookList answers ListWebhooks, by name.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// Webhook describes a webhook. What is beyond its name and times is told to
// its creator and to admins.
type Webhook struct {
	Name      string `json:"name"`
	URL       string `json:"url"`    // empty: a URL is shown once, by WebhookAck
	Active    bool   `json:"active"` // true: one that was deleted is not listed
	CreatedAt Time   `json:"createdAt"`
	CreatedBy string `json:"createdBy,omitempty"` // display name
	// Mine says that the caller may rotate and delete it.
	Mine      bool          `json:"mine,omitempty"`
	Target    string        `json:"target,omitempty"`    // who gets what is posted
	Template  string        `json:"template,omitempty"`  // the text of its messages
	Signature HookSignature `json:"signature,omitempty"` // the style in which requests must be signed
	Received  int64         `json:"received,omitempty"`  // messages that came of it
	LastAt    *Time         `json:"lastAt,omitempty"`    // when the last came
	// GivenUp counts deliveries that gave way before they were seen: a recipient
	// has KeptEvents of a webhook that it has not seen, each for HookEventKept.
	GivenUp int64 `json:"givenUp,omitempty"`
}

// DeleteWebhook ends a webhook of the caller's; an admin may end any.
type DeleteWebhook struct {
	Name string `json:"name"`
}

// RotateWebhook gives a webhook of the caller's a new secret. The old one is
// no longer good.
type RotateWebhook struct {
	Name string `json:"name"`
	// SigningSecret replaces what the sender signs with, if given.
	SigningSecret string `json:"signingSecret,omitempty"`
}

// HookDelivery answers POST /hook/{mesh}/{secret} once the message is on disk.
type HookDelivery struct {
	OK        bool `json:"ok"`
	Delivered int  `json:"delivered"` // connections that it was handed to at once
	// Queued counts recipients who are busy or offline and get it later.
	Queued    int    `json:"queued,omitempty"`
	MessageID string `json:"messageId,omitempty"`
	// Duplicate says that this delivery of the sender's had come before.
	Duplicate bool `json:"duplicate,omitempty"`
}

func (CreateWebhook) FrameType() Type { return "create_webhook" }
func (WebhookAck) FrameType() Type    { return "webhook_ack" }
func (ListWebhooks) FrameType() Type  { return "list_webhooks" }
func (WebhookList) FrameType() Type   { return "webhook_list" }
func (DeleteWebhook) FrameType() Type { return "delete_webhook" }
func (RotateWebhook) FrameType() Type { return "rotate_webhook" }

func (CreateWebhook) answer() (r WebhookAck) { return }
func (ListWebhooks) answer() (r WebhookList) { return }
func (DeleteWebhook) answer() (r WebhookAck) { return }
func (RotateWebhook) answer() (r WebhookAck) { return }
