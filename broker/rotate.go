package broker

import (
	"context"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	// rotateAgain is when a rotation looks again for what is under an older key:
	// who sealed something before it has stored that by then.
	rotateAgain = time.Minute
	maxRestKeys = 16 // that are kept at a time
)

// vaultRotate makes a new key for what the broker keeps, and seals all of it
// anew.
func (m *mesh) vaultRotate(c *call, _ wire.VaultRotate) (wire.VaultRotated, error) {
	s, a := c.session, m.srv.atRest
	err := m.contribute(c, func(*store.Tx) error {
		if !m.isAdmin(s.member) {
			return wire.Errorf(wire.Forbidden, "only admins may rotate the key of what the broker keeps: it is that of every mesh")
		}
		return nil
	})
	if err != nil {
		return wire.VaultRotated{}, m.vaultError(err)
	}
	if !a.busy.CompareAndSwap(false, true) {
		return wire.VaultRotated{}, wire.Errorf(wire.RateLimited, "the key is being rotated: try again in a moment")
	}
	defer a.busy.Store(false)
	if len(a.keys.Load().Keys) >= maxRestKeys {
		return wire.VaultRotated{}, wire.Errorf(wire.Limit, "there are %d older keys that something may be under: try again in a few minutes, and ask the operator whether every mesh of the broker could be opened", a.older())
	}
	if err := a.renew(); err != nil {
		return wire.VaultRotated{}, m.vaultError(err)
	}
	m.srv.alarms.set(a.alarm, time.Now().Add(rotateAgain))
	res := wire.VaultRotated{KeyID: a.ring.Load().ID().String(), OlderKeys: a.older()}
	err = m.db.Write(context.Background(), func(tx *store.Tx) (err error) {
		if res.Values, err = m.reseal(tx); err != nil {
			return err
		}
		return m.audit(tx, s.actor(), wire.AuditVaultRotated, audited{"keyId": res.KeyID, "values": res.Values})
	})
	a.step("resealed")
	m.srv.resealAll(m)
	if err != nil {
		m.log.Error("seal anew what is kept", "err", err)
		return res, wire.Errorf(wire.VaultError, "the new key is in use, but what was kept before could not be sealed under it yet, the disk may be full; the older key is kept meanwhile and the broker tries again every minute")
	}
	return res, nil
}

// resealAll seals anew what the meshes keep, but for one that has done so. It
// returns how many values have changed; what failed is in the log.
func (srv *Server) resealAll(but *mesh) (changed int, ok bool) {
	ok = true
	for _, m := range srv.all() {
		if m == but {
			continue
		}
		var n int
		err := m.db.Write(context.Background(), func(tx *store.Tx) (err error) {
			n, err = m.reseal(tx)
			return err
		})
		m.logFailed("seal anew what is kept", err)
		changed, ok = changed+n, ok && err == nil
		srv.atRest.step("resealed")
	}
	return changed, ok
}

// finishRotation looks for what is under an older key, and gives the older
// keys up if there is nothing.
func (srv *Server) finishRotation() {
	a := srv.atRest
	if !a.busy.CompareAndSwap(false, true) {
		return // a new rotation sets the alarm
	}
	defer a.busy.Store(false)
	if !a.unfinished() || srv.stopping.Load() {
		return
	}
	changed, ok := srv.resealAll(nil)
	if len(srv.unopened) > 0 {
		return // what is in those may be under any key
	}
	if changed > 0 || !ok || !srv.retireKeys() {
		srv.alarms.set(a.alarm, time.Now().Add(rotateAgain))
	}
}

// resumeRotation ends a rotation that was under way when the broker ended: the
// meshes have sealed anew as they were opened.
func (srv *Server) resumeRotation() {
	if srv.atRest.unfinished() && len(srv.unopened) == 0 {
		srv.retireKeys()
	}
}

// retireKeys gives the older keys up. It reports whether it could.
func (srv *Server) retireKeys() bool {
	err := srv.atRest.retire()
	if err != nil {
		srv.log.Error("the older keys of what is kept are still on disk", "err", err)
	}
	return err == nil
}
