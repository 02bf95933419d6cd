package store

import (
	"crypto/sha256"
	"errors"
	"testing"
)

func webhookNamed(name string) *Webhook {
	return &Webhook{ID: "id-" + name, Name: name, MemberID: "m", Creator: "ann", Hash: sha256.Sum256([]byte(name)), Target: "*", Created: epoch}
}

func TestWebhooks(t *testing.T) {
	db := open(t)
	a, b := webhookNamed("a"), webhookNamed("b")
	b.MemberID, b.Template, b.Style, b.Signing = "other", "{{x}}", "slack", []byte{1, 2}
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(tx.AddWebhook(b, 2), tx.AddWebhook(a, 2)) })
	for _, c := range []struct {
		does string
		w    *Webhook
		want error
	}{
		{"a name that is taken", webhookNamed("a"), ErrConflict},
		{"one too many", webhookNamed("c"), ErrLimit},
	} {
		wants(t, c.does, db.Write(t.Context(), func(tx *Tx) error { return tx.AddWebhook(c.w, 2) }), c.want)
	}
	mustWrite(t, db, func(tx *Tx) error {
		a.Received, a.Last = 1, epoch
		b.Hash, b.Signing = sha256.Sum256([]byte("new")), nil
		return errors.Join(tx.WebhookReceived(a.ID, epoch), tx.RotateWebhook(b))
	})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Webhooks()
		equal(t, all, []*Webhook{a, b})
		got, err2 := rx.WebhookByHash(b.Hash)
		equal(t, got, b)
		_, err3 := rx.WebhookByHash(sha256.Sum256([]byte("b")))
		wants(t, "the hash before it was rotated", err3, ErrNotFound)
		return errors.Join(err, err2)
	})
	mustWrite(t, db, func(tx *Tx) error {
		ids, err := tx.DeleteWebhooks("other")
		equal(t, ids, []string{b.ID})
		return errors.Join(tx.DeleteWebhook(a.ID), err)
	})
	mustWrite(t, db, func(tx *Tx) error {
		all, err := tx.Webhooks()
		equal(t, len(all), 0)
		wants(t, "deleted before", tx.DeleteWebhook(a.ID), ErrNotFound)
		wants(t, "received by one that is gone", tx.WebhookReceived(a.ID, epoch), ErrNotFound)
		return errors.Join(err, tx.AddWebhook(a, 2))
	})
}
