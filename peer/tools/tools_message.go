package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	sendTime = 15 * time.Second
	maxWait  = 300 // seconds that check_messages waits
)

func messageTools() []tool {
	return []tool{
		define(tool{
			name: "send_message", core: true, always: true, hint: "send message tell ask reply answer peer agent group broadcast",
			description: "Send a message to other agents (peers) of the mesh. `to` is a peer's name or key, @group, or * for everyone; an array sends one copy to each. To answer a message give its id as reply_to; then `to` may be left out. Says for each target where the message is: sent (handed to a live session), held (busy), queued (offline).",
		}, sendMessage),
		define(tool{
			name: "check_messages", core: true, always: true, hint: "check read inbox mail messages wait receive",
			description: "Read the messages that you have not seen yet, in full, those held back while you work too. With wait_seconds it waits until one comes, at most 300 seconds: use it when you need an answer to go on. What you read is from peers, not from your user.",
		}, checkMessages),
		define(tool{
			name: "message_status", core: true, reads: true, hint: "delivered seen receipt message status",
			description: "Find out what became of a message you sent: per recipient queued, leased (pushed), delivered (its process has it), seen (its model read it) or expired.",
		}, messageStatus),
	}
}

type sendArgs struct {
	To       list   `json:"to,omitempty" doc:"name, key (8 or more digits), @group or *; <mesh>:<target> names the mesh"`
	Message  string `json:"message" doc:"the text"`
	Priority string `json:"priority,omitempty" enum:"now,next,low" doc:"now interrupts the recipient, next (default) waits until it is idle, low is not urgent"`
	ReplyTo  string `json:"reply_to,omitempty" doc:"id of the message that this answers"`
	Mesh     string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

type sent struct {
	Target    string       `json:"target"`
	Mesh      string       `json:"mesh,omitempty"`
	Name      string       `json:"name,omitempty"`
	MessageID string       `json:"messageId,omitempty"`
	Outcome   wire.Outcome `json:"outcome,omitempty"`
	Unknown   bool         `json:"unknown,omitempty"`
	CoveredBy string       `json:"coveredBy,omitempty"`
	Error     string       `json:"error,omitempty"`
}

// route is a target and the mesh it is in.
type route struct {
	given, target string
	mesh          *mesh
	err           error
}

func sendMessage(ctx context.Context, h *hub, in sendArgs) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	switch in.Priority {
	case "", "now", "next", "low":
	default:
		return reply{}, fmt.Errorf("priority %q: use now, next or low", wire.Shorten(in.Priority, 20))
	}
	if in.Message == "" {
		return reply{}, errors.New("the message is empty")
	}
	if len(in.To) == 0 {
		if err := answerTo(h, &in); err != nil {
			return reply{}, err
		}
	}
	routes, err := h.routes(ctx, in)
	if err != nil {
		return reply{}, err
	}
	results := dispatch(ctx, routes, in)
	failed := true
	var text strings.Builder
	for i := range results {
		r := &results[i]
		failed = failed && r.Error != ""
		text.WriteString(r.line())
	}
	if !failed && in.ReplyTo != "" {
		h.post.answered(in.ReplyTo)
	}
	return reply{data: map[string]any{"results": results}, text: text.String(), failed: failed}, nil
}

// answerTo addresses an answer to who wrote the message that it answers.
func answerTo(h *hub, in *sendArgs) error {
	if in.ReplyTo == "" {
		return errors.New("`to` is missing: name a peer, a key, @group or *, or give reply_to")
	}
	for _, m := range h.all() {
		for _, r := range m.client.Records() {
			if r.MessageID == in.ReplyTo && !wire.IsHex(r.SenderPubkey) {
				return fmt.Errorf("message %s was written by no peer: give `to` to tell somebody of it", wire.Shorten(in.ReplyTo, 60))
			}
			if r.MessageID == in.ReplyTo {
				in.To, in.Mesh = list{r.SenderPubkey}, m.slug
				return nil
			}
		}
	}
	return fmt.Errorf("no message %s was received in this session: give `to` as well", wire.Shorten(in.ReplyTo, 60))
}

// routes finds the mesh of each target.
func (h *hub) routes(ctx context.Context, in sendArgs) ([]route, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return nil, err
	}
	var out []route
	for _, given := range in.To {
		if given = strings.TrimSpace(given); given != "" {
			out = append(out, h.route(ctx, all, given))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("`to` names nobody")
	}
	return out, nil
}

// route finds the mesh of a target: the one it names, the only one, or the only
// one where it means somebody.
func (h *hub) route(ctx context.Context, all []*mesh, given string) route {
	r := route{given: given, target: given}
	if slug, rest, ok := strings.Cut(given, ":"); ok {
		if named, err := h.among(slug); err == nil && slug != "" {
			r.target, all = rest, named
		}
	}
	if len(all) == 1 {
		r.mesh = all[0]
		return r
	}
	if t, err := wire.ParseTarget(r.target); err == nil && t.Kind != wire.ToPrefix && t.Kind != wire.ToKey {
		r.err = fmt.Errorf("several meshes are joined: write %s:%s, or set mesh, with one of %s", all[0].slug, r.target, strings.Join(slugs(all), ", "))
		return r
	}
	var found []*mesh
	for _, m := range all {
		if t, err := wire.ParseTarget(r.target); err == nil && t.Kind == wire.ToKey {
			if list, err := m.client.Peers(ctx); err == nil && !knows(&list, t.Name) {
				continue
			}
		}
		if _, err := m.client.Resolve(ctx, r.target); err == nil || errors.Is(err, &wire.Error{Code: wire.Ambiguous}) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		r.err = fmt.Errorf("nobody called %q is in %s; list_peers shows who is there", neutralLine(r.target, 60), strings.Join(slugs(all), ", "))
	case 1:
		r.mesh = found[0]
	default:
		r.err = fmt.Errorf("%q is in %s: set mesh to one of them", neutralLine(r.target, 60), strings.Join(slugs(found), " and "))
	}
	return r
}

func knows(list *wire.PeersList, key string) bool {
	for _, p := range list.Peers {
		if p.Pubkey == key || p.MemberPubkey == key {
			return true
		}
	}
	for _, m := range list.Members {
		if m.Pubkey == key {
			return true
		}
	}
	return false
}

// dispatch sends to every target, mesh by mesh, so that nobody gets it twice.
func dispatch(ctx context.Context, routes []route, in sendArgs) []sent {
	out := make([]sent, len(routes))
	byMesh := make(map[*mesh][]int)
	for i, r := range routes {
		out[i].Target = r.given
		if r.err != nil {
			out[i].Error = r.err.Error()
			continue
		}
		out[i].Mesh = r.mesh.slug
		byMesh[r.mesh] = append(byMesh[r.mesh], i)
	}
	for m, indexes := range byMesh {
		texts := make([]string, len(indexes))
		for j, i := range indexes {
			texts[j] = routes[i].target
		}
		waits := make([]*peer.Sending, len(indexes))
		resolved := m.client.ResolveAll(ctx, texts)
		for j, r := range resolved {
			s := &out[indexes[j]]
			s.Name, s.CoveredBy = neutralLine(r.Name, nameLen), r.CoveredBy
			if r.Err == nil && r.CoveredBy == "" {
				waits[j], r.Err = m.client.SendAsync(ctx, peer.SendRequest{
					Target: r.Target.String(), Text: in.Message, Priority: wire.Priority(in.Priority), ReplyTo: in.ReplyTo, Exclude: r.Exclude,
				})
			}
			if r.Err != nil {
				s.Error = neutralLine(m.explain(r.Err).Error(), 600)
			}
		}
		for j, w := range waits {
			if w != nil {
				out[indexes[j]].await(ctx, m, w)
			}
		}
	}
	return out
}

func (s *sent) await(ctx context.Context, m *mesh, w *peer.Sending) {
	ack, err := w.Wait(ctx)
	if err != nil {
		s.Error = neutralLine(m.explain(err).Error(), 600)
		return
	}
	s.MessageID, s.Outcome, s.Unknown = ack.MessageID, ack.Outcome, ack.Unknown
	if ack.Outcome == wire.ToNobody {
		s.Error = "nobody matches this target now; nothing was sent"
	}
}

// line says in a line what became of a message.
func (s *sent) line() string {
	switch {
	case s.Error != "":
		return fmt.Sprintf("✗ %s: %s\n", s.Target, s.Error)
	case s.CoveredBy != "":
		return fmt.Sprintf("✓ %s is reached through %s\n", s.Target, s.CoveredBy)
	}
	what := map[wire.Outcome]string{
		wire.Sent: "handed to a live session", wire.Held: "held until the recipient is idle", wire.Queued: "queued until the recipient is back",
	}[s.Outcome]
	line := fmt.Sprintf("✓ %s → %s (%s)", s.Target, s.MessageID, cmp.Or(what, "accepted"))
	if s.Unknown {
		line += " WARNING: nobody in this mesh has ever used that key"
	}
	return line + "\n"
}

type checkArgs struct {
	WaitSeconds int `json:"wait_seconds,omitempty" doc:"wait this long for a message, at most 300"`
}

type checked struct {
	Count    int          `json:"count"`
	More     int          `json:"more,omitempty"`
	Messages []oneMessage `json:"messages"`
	Note     string       `json:"note,omitempty"`
}

// oneMessage is a message as the structured content has it.
type oneMessage struct {
	ID            string        `json:"id"`
	Mesh          string        `json:"mesh"`
	From          string        `json:"from"`
	Key           string        `json:"key"`
	Authenticated bool          `json:"authenticated"`
	Priority      wire.Priority `json:"priority"`
	SentAt        string        `json:"sentAt"`
	ReplyTo       string        `json:"replyTo,omitempty"`
	Text          string        `json:"text"`
	Again         bool          `json:"maybeShownBefore,omitempty"`
}

func checkMessages(ctx context.Context, h *hub, in checkArgs) (reply, error) {
	if in.WaitSeconds < 0 || in.WaitSeconds > maxWait {
		return reply{}, fmt.Errorf("wait_seconds must be from 0 to %d", maxWait)
	}
	waiting, cancel := context.WithTimeout(ctx, time.Duration(in.WaitSeconds)*time.Second)
	defer cancel()
	defer h.receptive(ctx)()
	req := peer.MailRequest{Way: peer.WayCheck, MaxBytes: checkBytes}
	a := h.post.take(req)
	if a.Text == "" && in.WaitSeconds > 0 {
		a = h.post.wait(waiting, req)
	}
	if a.Text == "" {
		return reply{data: checked{Messages: []oneMessage{}}, text: "No new messages." + h.offline()}, nil
	}
	out := checked{Count: len(a.Records), More: a.More, Note: banner, Messages: []oneMessage{}}
	for _, r := range a.Records {
		out.Messages = append(out.Messages, oneMessage{
			ID: r.MessageID, Mesh: r.Mesh, From: neutralLine(r.SenderName, nameLen), Key: r.SenderPubkey, Authenticated: r.Authenticated,
			Priority: r.Priority, SentAt: r.CreatedAt.String(), ReplyTo: r.ReplyTo, Text: body(&r.Record), Again: r.Again,
		})
	}
	if len(a.Records) == 0 { // a notice, and no mail
		out.Note = a.Text
	}
	onceWritten(ctx, func() { h.post.shown(peer.WayCheck, ids(a.Records)) })
	return reply{data: out, text: plural(len(a.Records), "message") + ".\n\n" + a.Text}, nil
}

// offline warns that mail may wait at a broker that cannot be reached.
func (h *hub) offline() string {
	var b strings.Builder
	for _, m := range h.all() {
		if s := m.client.Status(); s.State != peer.StateOpen {
			fmt.Fprintf(&b, " Mail of %s may wait: %s.", m.slug, m.explain(cmp.Or(s.Err, peer.ErrNotConnected)))
		}
	}
	return b.String()
}

type statusArgs struct {
	ID   string `json:"id" doc:"id of the message, or its first 8 characters"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh"`
}

func messageStatus(ctx context.Context, h *hub, in statusArgs) (reply, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	for _, m := range all {
		var s wire.MessageStatus
		if s, err = peer.Call(ctx, m.client, wire.GetMessageStatus{MessageID: in.ID}); err == nil {
			return reply{data: s, text: describeStatus(m, &s)}, nil
		}
		if err = m.explain(err); !errors.Is(err, &wire.Error{Code: wire.NotFound}) {
			return reply{}, err
		}
	}
	return reply{}, err
}

func describeStatus(m *mesh, s *wire.MessageStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Message %s to %s in %s", s.MessageID, neutralLine(s.TargetSpec, 70), m.slug)
	if s.AcceptedAt != nil {
		fmt.Fprintf(&b, ", accepted %s", s.AcceptedAt)
	}
	b.WriteString(":\n")
	for _, r := range s.Recipients {
		fmt.Fprintf(&b, "- %s (%s): %s", neutralLine(r.Name, nameLen), r.Pubkey, cmp.Or(string(r.State), r.Status))
		if r.SeenAt != nil {
			fmt.Fprintf(&b, " at %s", r.SeenAt)
		}
		b.WriteString("\n")
	}
	return b.String()
}
