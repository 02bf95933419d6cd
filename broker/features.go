package broker

import (
	"time"

	"claudemesh/store"
)

// A feature is what a part of the broker does at the turning points of a mesh,
// its members and its sessions, beside the routes that it serves. Where it has
// nothing to do it leaves nil.
type feature struct {
	// open reads what the part keeps in memory, when the mesh is opened and
	// before its sessions are read.
	open func(*store.Tx) error
	// hungUp runs when a connection has ended, without m.mu. The presence of its
	// session may go on.
	hungUp func(*conn)
	// arrived gives a session that is no command what waited for its member, in
	// the transaction of its hello, after whose hooks those of it run.
	arrived func(*store.Tx, *session) error
	// ended ends what a session holds by its presence, in the transaction that
	// ends that.
	ended func(*store.Tx, *session) error
	// revoked ends what is a member's, in the transaction that revokes it.
	revoked func(tx *store.Tx, memberID string) error
	// reseal gives what the part keeps sealed (Server.atRest) to anew, and stores
	// what comes back where that has changed, when the key is rotated. What is
	// also kept in memory, and stored again from there, changes with it.
	reseal func(tx *store.Tx, anew resealer) error
	// sweep ends what has run out of time, once a minute, in the background.
	sweep func(now time.Time) error
}

// features is a line per part that keeps something for somebody, or for a time.
// What they tell in mesh_info is in infoParts.
func (m *mesh) features() []feature {
	return []feature{
		{open: m.loadFiles, sweep: m.sweepFiles},
		{ended: byAddress((*store.Tx).EndSubscriptions), revoked: (*store.Tx).EndMemberSubscriptions},
		{ended: byAddress((*store.Tx).ReleaseHeld), revoked: (*store.Tx).ReleaseHeldByMember, sweep: m.lapseHeld},
		{hungUp: m.relays.disconnected},
		{sweep: m.sweepAudit},
		{revoked: m.endWebhooks, reseal: m.resealWebhooks},
		{arrived: m.restoreServers, ended: m.serversLeft, revoked: m.dropServers, sweep: m.sweepServers},
		{revoked: (*store.Tx).DeleteVault},
		{open: m.loadServices, revoked: m.dropServices, reseal: m.resealServices, sweep: m.sweepServices},
		{open: m.loadWatches, arrived: m.wakeWatches, revoked: m.endMemberWatches, reseal: m.resealWatches, sweep: m.sweepWatches},
	}
}

// byAddress makes a feature.ended of what ends the rows of an address.
func byAddress(end func(tx *store.Tx, address int64) error) func(*store.Tx, *session) error {
	return func(tx *store.Tx, s *session) error { return end(tx, s.addr) }
}

// openFeatures reads what the parts keep in memory.
func (m *mesh) openFeatures(tx *store.Tx) error {
	for _, f := range m.features() {
		if f.open == nil {
			continue
		}
		if err := f.open(tx); err != nil {
			return err
		}
	}
	return nil
}

// hungUp tells the parts that a connection has ended.
func (m *mesh) hungUp(c *conn) {
	for _, f := range m.features() {
		if f.hungUp != nil {
			f.hungUp(c)
		}
	}
}

// sessionArrived gives a session what waited for its member.
func (m *mesh) sessionArrived(tx *store.Tx, s *session) error {
	for _, f := range m.features() {
		if f.arrived == nil || s.hello.Transient {
			continue
		}
		if err := f.arrived(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// presenceEnded ends what a session held by its presence.
func (m *mesh) presenceEnded(tx *store.Tx, s *session) error {
	for _, f := range m.features() {
		if f.ended == nil {
			continue
		}
		if err := f.ended(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// memberRevoked ends what was a member's.
func (m *mesh) memberRevoked(tx *store.Tx, memberID string) error {
	for _, f := range m.features() {
		if f.revoked == nil {
			continue
		}
		if err := f.revoked(tx, memberID); err != nil {
			return err
		}
	}
	return nil
}

// sweepFeatures ends what has run out of time. What fails in one part keeps no
// other from it.
func (m *mesh) sweepFeatures(now time.Time) {
	for _, f := range m.features() {
		if f.sweep != nil {
			m.logFailed("end what has run out of time", f.sweep(now))
		}
	}
}
