package store

import (
	"errors"
	"fmt"
	"time"
)

const (
	webhookColumns = `id, name, member_id, creator, hash, target, template, style, signing, received, last, created, given_up`
	insertWebhook  = `INSERT INTO webhook (` + webhookColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectWebhook  = `SELECT ` + webhookColumns + ` FROM webhook WHERE name = ?`
	selectHook     = `SELECT ` + webhookColumns + ` FROM webhook WHERE hash = ?`
	selectHookByID = `SELECT ` + webhookColumns + ` FROM webhook WHERE id = ?`
	selectWebhooks = `SELECT ` + webhookColumns + ` FROM webhook ORDER BY name`
	countWebhooks  = `SELECT count(*) FROM webhook`
	updateWebhook  = `UPDATE webhook SET hash = ?, signing = ? WHERE id = ?`
	updateReceived = `UPDATE webhook SET received = received + 1, last = ? WHERE id = ?`
	updateGivenUp  = `UPDATE webhook SET given_up = given_up + ? WHERE id = ?`
	deleteWebhook  = `DELETE FROM webhook WHERE id = ?`
	deleteWebhooks = `DELETE FROM webhook WHERE member_id = ? RETURNING id`
)

// Webhook is an address to which programs outside of the mesh post. Its secret
// is not kept.
type Webhook struct {
	ID       string
	Name     string
	MemberID string   // whose it is
	Creator  string   // display name
	Hash     [32]byte // SHA-256 of the secret
	Target   string
	Template string // "" for none
	Style    string // of the signature; "" for none
	Signing  []byte // secret of the sender, sealed by the caller; nil for none
	Received int64  // messages that came of it
	Last     time.Time
	Created  time.Time
	GivenUp  int64 // deliveries that gave way before they were seen
}

func (w *Webhook) columns() []any {
	return []any{&w.ID, &w.Name, &w.MemberID, &w.Creator, &w.Hash, &w.Target, &w.Template, &w.Style, &w.Signing, &w.Received, &w.Last, &w.Created, &w.GivenUp}
}

// AddWebhook stores w: ErrConflict if there is one of that name, ErrLimit if
// there are limit others.
func (tx *Tx) AddWebhook(w *Webhook, limit int) error {
	var n int
	switch _, err := tx.Webhook(w.Name); {
	case err == nil:
		return fmt.Errorf("store: webhook: %w", ErrConflict)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := tx.one(countWebhooks, nil, &n); err != nil {
		return err
	}
	if n >= limit {
		return fmt.Errorf("store: %d webhooks: %w", n, ErrLimit)
	}
	_, err := tx.exec(insertWebhook, w.ID, w.Name, w.MemberID, w.Creator, w.Hash[:], w.Target, null(w.Template), null(w.Style), w.Signing,
		w.Received, w.Last, w.Created, w.GivenUp)
	return err
}

// Webhook returns the webhook of that name: ErrNotFound if there is none.
func (rx *Rx) Webhook(name string) (*Webhook, error) {
	return rx.webhook(selectWebhook, name)
}

// WebhookByHash returns the webhook whose secret has that SHA-256: ErrNotFound
// if there is none.
func (rx *Rx) WebhookByHash(hash [32]byte) (*Webhook, error) {
	return rx.webhook(selectHook, hash[:])
}

// WebhookByID returns the webhook with that id: ErrNotFound if there is none.
func (rx *Rx) WebhookByID(id string) (*Webhook, error) {
	return rx.webhook(selectHookByID, id)
}

func (rx *Rx) webhook(query string, key any) (*Webhook, error) {
	w := new(Webhook)
	if err := rx.one(query, []any{key}, w.columns()...); err != nil {
		return nil, fmt.Errorf("store: webhook: %w", err)
	}
	return w, nil
}

// Webhooks lists all webhooks by name.
func (rx *Rx) Webhooks() ([]*Webhook, error) {
	var all []*Webhook
	err := rx.each(selectWebhooks, nil, func(r row) error {
		w := new(Webhook)
		all = append(all, w)
		return r.scan(w.columns()...)
	})
	return all, err
}

// RotateWebhook writes the hash and the signing secret of w: ErrNotFound if it
// is gone.
func (tx *Tx) RotateWebhook(w *Webhook) error {
	return tx.change("webhook", updateWebhook, w.Hash[:], w.Signing, w.ID)
}

// WebhookReceived counts a message that came of a webhook: ErrNotFound if it
// is gone.
func (tx *Tx) WebhookReceived(id string, at time.Time) error {
	return tx.change("webhook", updateReceived, at, id)
}

// WebhookGivenUp counts deliveries that gave way. A webhook that is gone counts nothing.
func (tx *Tx) WebhookGivenUp(id string, n int) error {
	_, err := tx.exec(updateGivenUp, n, id)
	return err
}

// DeleteWebhook removes a webhook: ErrNotFound if it is gone.
func (tx *Tx) DeleteWebhook(id string) error { return tx.change("webhook", deleteWebhook, id) }

// DeleteWebhooks removes all webhooks of a member and returns their ids.
func (tx *Tx) DeleteWebhooks(memberID string) (ids []string, err error) {
	err = tx.each(deleteWebhooks, []any{memberID}, func(r row) error {
		ids = append(ids, "")
		return r.scan(&ids[len(ids)-1])
	})
	return ids, err
}
