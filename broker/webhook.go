package broker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"claudemesh/store"
	"claudemesh/wire"
)

// hookRates bounds how often each webhook of a mesh is posted to.
type hookRates struct {
	mu sync.Mutex
	by map[string]*rate.Limiter // by id, of webhooks that were posted to
}

// allow takes a token of the bucket of a webhook, which holds a minute's worth.
func (r *hookRates) allow(id string, perMinute float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[string]*rate.Limiter)
	}
	l := r.by[id]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(perMinute/60), max(1, int(perMinute)))
		r.by[id] = l
	}
	return l.Allow()
}

func (r *hookRates) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, id)
}

// endWebhooks ends the webhooks of a member who is being revoked.
func (m *mesh) endWebhooks(tx *store.Tx, memberID string) error {
	ids, err := tx.DeleteWebhooks(memberID)
	tx.AfterCommit(func() {
		for _, id := range ids {
			m.hooks.forget(id)
		}
	})
	return err
}

// createWebhook makes a webhook and shows its secret, of which the broker keeps
// a hash alone.
func (m *mesh) createWebhook(c *call, req wire.CreateWebhook) (wire.WebhookAck, error) {
	target, err := checkWebhook(&req)
	if err != nil {
		return wire.WebhookAck{}, err
	}
	s := c.session
	w := &store.Webhook{
		ID: store.NewID(), Name: req.Name, MemberID: s.member.id, Creator: s.author(), Target: target.String(), Template: req.Template,
		Style: string(req.Signature), Signing: m.sealSigning(req.SigningSecret), Created: time.Now(),
	}
	secret := newHookSecret(w)
	err = m.contribute(c, func(tx *store.Tx) error {
		if !target.Multicast() {
			a, err := m.addressOf(tx, target)
			if err != nil {
				return err
			}
			w.Target = wireKey(a.Key)
		}
		err := tx.AddWebhook(w, wire.MaxWebhooks)
		switch {
		case errors.Is(err, store.ErrConflict):
			return wire.Errorf(wire.WebhookExists, "the mesh has a webhook %q: take another name, or rotate or delete that one", w.Name)
		case errors.Is(err, store.ErrLimit):
			return wire.Errorf(wire.Limit, "the mesh has %d webhooks: delete one that is not needed any more", wire.MaxWebhooks)
		case err != nil:
			return err
		}
		payload := audited{"webhook": w.Name, "targetSpec": w.Target}
		if w.Style != "" {
			payload["signature"] = w.Style
		}
		return m.audit(tx, s.actor(), wire.AuditWebhookCreated, payload)
	})
	return m.hookAck(c, w, secret), err
}

// checkWebhook checks all that needs no mesh, and fills in what may be absent.
func checkWebhook(req *wire.CreateWebhook) (wire.Target, error) {
	if n := utf8.RuneCountInString(req.Name); strings.TrimSpace(req.Name) == "" || n > wire.MaxWebhookName || wire.HasControl(req.Name) {
		return wire.Target{}, wire.Errorf(wire.InvalidWebhook, "the name of a webhook must have 1 to %d characters without control characters", wire.MaxWebhookName)
	}
	if err := fits("template", req.Template, wire.MaxHookTemplate); err != nil {
		return wire.Target{}, err
	}
	if _, err := parseTemplate(req.Template); err != nil {
		return wire.Target{}, err
	}
	if err := checkSigning(req.Signature, req.SigningSecret); err != nil {
		return wire.Target{}, err
	}
	if req.Target == "" {
		req.Target = "*"
	}
	return wire.ParseTarget(req.Target)
}

func checkSigning(style wire.HookSignature, secret string) error {
	switch style {
	case "", wire.GitHubSignature:
	case wire.StripeSignature, wire.SlackSignature:
		if secret == "" {
			return wire.Errorf(wire.BadRequest, "signingSecret is missing: give the one that %s shows you", style)
		}
	default:
		return wire.Errorf(wire.BadRequest, "signature must be %s, %s, %s or left out", wire.GitHubSignature, wire.StripeSignature, wire.SlackSignature)
	}
	if style == "" && secret != "" {
		return wire.Errorf(wire.BadRequest, "say in which style signingSecret signs: signature must be %s, %s or %s", wire.GitHubSignature, wire.StripeSignature, wire.SlackSignature)
	}
	return fits("signingSecret", secret, wire.MaxSigningSecret)
}

// newHookSecret gives w a new secret and returns it.
func newHookSecret(w *store.Webhook) string {
	var random [32]byte
	rand.Read(random[:])
	secret := hex.EncodeToString(random[:])
	w.Hash = sha256.Sum256([]byte(secret))
	return secret
}

// sealSigning makes what a sender signs with fit to be kept.
func (m *mesh) sealSigning(secret string) []byte {
	if secret == "" {
		return nil
	}
	return m.srv.atRest.Seal([]byte(secret))
}

// hookAck shows the secret of w, this once.
func (m *mesh) hookAck(c *call, w *store.Webhook, secret string) wire.WebhookAck {
	return wire.WebhookAck{Name: w.Name, URL: m.srv.baseURL(c) + "/hook/" + m.id + "/" + secret, Secret: secret, Target: w.Target}
}

// baseURL is how the broker is reached by HTTP: as its operator says, else as
// c's own peer reaches it.
func (srv *Server) baseURL(c *call) string {
	if srv.cfg.PublicURL != "" {
		return strings.TrimSuffix(srv.cfg.PublicURL, "/")
	}
	return "http://" + c.host
}

func (m *mesh) listWebhooks(c *call, _ wire.ListWebhooks) (wire.WebhookList, error) {
	var rows []*store.Webhook
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		rows, err = rx.Webhooks()
		return err
	})
	res := wire.WebhookList{Webhooks: make([]wire.Webhook, 0, len(rows))}
	for _, w := range rows {
		e := wire.Webhook{Name: w.Name, Active: true, CreatedAt: wire.Time(w.Created), CreatedBy: w.Creator}
		if m.owns(c.session, w.MemberID) {
			e.Mine, e.Target, e.Template, e.Signature = true, w.Target, w.Template, wire.HookSignature(w.Style)
			e.Received, e.LastAt, e.GivenUp = w.Received, when(w.Last), w.GivenUp
		}
		res.Webhooks = append(res.Webhooks, e)
	}
	return res, err
}

func (m *mesh) deleteWebhook(c *call, req wire.DeleteWebhook) (wire.WebhookAck, error) {
	err := m.contribute(c, func(tx *store.Tx) error {
		w, err := m.ownHook(tx, c, req.Name, "delete")
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.hooks.forget(w.ID) })
		if err := m.audit(tx, c.session.actor(), wire.AuditWebhookDeleted, audited{"webhook": w.Name}); err != nil {
			return err
		}
		return tx.DeleteWebhook(w.ID)
	})
	return wire.WebhookAck{Name: req.Name}, err
}

func (m *mesh) rotateWebhook(c *call, req wire.RotateWebhook) (wire.WebhookAck, error) {
	var res wire.WebhookAck
	err := m.contribute(c, func(tx *store.Tx) error {
		w, err := m.ownHook(tx, c, req.Name, "rotate")
		if err != nil {
			return err
		}
		if req.SigningSecret != "" {
			if err := checkSigning(wire.HookSignature(w.Style), req.SigningSecret); err != nil {
				return err
			}
			w.Signing = m.sealSigning(req.SigningSecret)
		}
		res = m.hookAck(c, w, newHookSecret(w))
		if err := m.audit(tx, c.session.actor(), wire.AuditWebhookRotated, audited{"webhook": w.Name}); err != nil {
			return err
		}
		return tx.RotateWebhook(w)
	})
	return res, err
}

// ownHook returns a webhook that c may do that with.
func (m *mesh) ownHook(tx *store.Tx, c *call, name, do string) (*store.Webhook, error) {
	w, err := tx.Webhook(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, wire.Errorf(wire.NotFound, "there is no webhook %q", wire.Shorten(name, 60))
	}
	if err == nil && !m.owns(c.session, w.MemberID) {
		err = wire.Errorf(wire.Forbidden, "only %s, who made the webhook, and admins may %s it", w.Creator, do)
	}
	return w, err
}
