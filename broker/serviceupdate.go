package broker

import (
	"context"
	"errors"
	"time"

	"claudemesh/broker/runner"
	"claudemesh/store"
	"claudemesh/wire"
)

// removeWithin bounds the end of a service.
const removeWithin = 30 * time.Second

// An update is a service that is to be built anew from its source.
type update struct {
	svc   *service
	row   *store.Service
	spec  runner.Spec
	again bool // nothing of it runs, so it is deployed again
	begun bool
}

// mcpUpdate has a service built anew from its source. What runs goes on until
// the new one is up.
func (m *mesh) mcpUpdate(c *call, req wire.MCPUpdate) error {
	if err := m.mayRun(c.session); err != nil {
		return err
	}
	var u *update
	err := m.contribute(c, func(tx *store.Tx) (err error) {
		if u, err = m.planUpdate(tx, c.session, req.ServerName); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.beginUpdate(u, &asker{c.conn, c.head.ReqID}, c.session) })
		return m.audit(tx, c.session.actor(), wire.AuditServiceUpdated, audited{"service": u.row.Name})
	})
	if err != nil || !u.begun {
		return err
	}
	m.tryBackground(func() {
		if u.again {
			m.build(u.svc, u.row.Version, u.spec)
			return
		}
		m.renew(u)
	})
	return nil
}

// planUpdate decides how a service is updated, if it is.
func (m *mesh) planUpdate(tx *store.Tx, s *session, name string) (*update, error) {
	svc, row, err := m.ownService(tx, s, name, "update")
	if err != nil {
		return nil, err
	}
	u := &update{svc: svc, row: row}
	switch status := wire.ServiceStatus(row.Status); {
	case status == wire.ServiceStopped:
		return nil, noSuchService(name)
	case wire.SourceType(row.SourceType) == wire.SourceZip:
		return nil, wire.Errorf(wire.Forbidden, "the service %q was deployed from an archive: share the new one and deploy it under the same name", name)
	case status == wire.ServiceBuilding, status == wire.ServiceInstalling, m.isUpdating(name):
		return nil, beingBuilt(name)
	case status == wire.ServiceFailed, status == wire.ServiceCrashed:
		u.again = true
		row.Status, row.Error, row.Version, row.Updated = string(wire.ServiceBuilding), "", row.Version+1, time.Now()
		if err := tx.SetService(row); err != nil {
			return nil, err
		}
	}
	u.spec, err = m.specOf(row)
	return u, err
}

func beingBuilt(name string) error {
	return wire.Errorf(wire.Conflict, "the service %q is being built: wait until that is over, or undeploy it", name)
}

// beginUpdate takes an update over after its commit, unless one that shared the
// commit was quicker.
func (m *mesh) beginUpdate(u *update, by *asker, s *session) {
	if u.again {
		m.accepted(u.row, by, s)
		u.begun = true
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if u.svc.updating || u.svc.pending {
		by.tell(asError(beingBuilt(u.row.Name)))
		return
	}
	u.begun, u.svc.updating = true, true
	u.svc.replaceAsker(by)
	by.tell(wire.MCPDeployStatus{ServerName: u.row.Name, Status: wire.ServiceBuilding})
}

// renew has the runner build beside what runs, unless a deployment or an end
// has come meanwhile.
func (m *mesh) renew(u *update) {
	u.svc.acting.Lock()
	defer u.svc.acting.Unlock()
	m.mu.Lock()
	due := u.svc.updating
	m.mu.Unlock()
	if !due {
		return
	}
	r, err := m.runner()
	if err == nil {
		err = r.Update(u.row.Name, u.spec)
	}
	if err != nil {
		m.mu.Lock()
		status := u.svc.status()
		m.mu.Unlock()
		m.serviceChanged(runner.Event{Name: u.row.Name, Status: runner.Status(status), Cause: runner.ByKeep, Error: err.Error()})
	}
}

// mcpUndeploy ends a service and deletes what it consists of. From the commit
// on it is gone for everybody but who may undeploy it.
func (m *mesh) mcpUndeploy(c *call, req wire.MCPUndeploy) error {
	var svc *service
	err := m.contribute(c, func(tx *store.Tx) (err error) {
		var row *store.Service
		if svc, row, err = m.ownService(tx, c.session, req.ServerName, "undeploy"); err != nil {
			return err
		}
		if err := m.withdraw(tx, row, c.session.author()); err != nil {
			return err
		}
		return m.audit(tx, c.session.actor(), wire.AuditServiceUndeployed, audited{"service": row.Name})
	})
	if err != nil {
		return err
	}
	answer := func() {
		if err := m.removeService(svc); err != nil {
			c.reply(c.head.ReqID, c.srv.report(c.head, err))
			return
		}
		c.reply(c.head.ReqID, wire.MCPDeployStatus{ServerName: req.ServerName, Status: wire.ServiceStopped})
	}
	if !m.tryBackground(answer) {
		return errServicesClosed
	}
	return nil
}

// withdraw makes a service one that is to be removed. It forgets its secrets.
func (m *mesh) withdraw(tx *store.Tx, row *store.Service, by string) error {
	row.Status, row.Error, row.Secrets, row.Updated = string(wire.ServiceStopped), "", nil, time.Now()
	if err := tx.SetService(row); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if svc := m.services[row.Name]; svc != nil {
			svc.replaceAsker(nil)
			svc.pending, svc.updating = false, false
			svc.take(row)
			m.offerService(svc, news{by: by})
		}
	})
	return nil
}

// removeService ends a service that was withdrawn, and then deletes its record.
// What cannot be ended stays on record, and the sweep tries again.
func (m *mesh) removeService(svc *service) error {
	svc.acting.Lock()
	defer svc.acting.Unlock()
	m.mu.Lock()
	name := svc.row.Name
	due := m.services[name] == svc && svc.withdrawn()
	m.mu.Unlock()
	if !due {
		return nil
	}
	r, err := m.runner()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), removeWithin)
		defer cancel()
		err = r.Remove(ctx, name)
	}
	if err != nil {
		m.log.Warn("a service cannot be removed; it is tried again", "service", name, "err", err)
		return wire.Errorf(wire.UndeployError, "the service %q cannot be removed yet: %s; nobody can use it, and the broker goes on trying", name, clean(err.Error(), wire.MaxCallError))
	}
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		row, err := tx.Service(name)
		if err != nil || wire.ServiceStatus(row.Status) != wire.ServiceStopped {
			return err
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.services, name)
		})
		return tx.DeleteService(name)
	})
}

// sweepServices goes on writing down what could not be written, and removing what
// could not be removed, that in the background: one that does not end keeps nothing
// else from its turn.
func (m *mesh) sweepServices(time.Time) error {
	m.mu.Lock()
	all := m.sortedServices()
	m.mu.Unlock()
	for _, svc := range all {
		m.keepLost(svc)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, svc := range m.services {
		if !svc.withdrawn() || svc.removing {
			continue
		}
		svc.removing = true
		m.background(func() {
			m.logFailed("remove a service", m.removeService(svc))
			m.mu.Lock()
			defer m.mu.Unlock()
			svc.removing = false
		})
	}
	return nil
}

// dropServices ends the services of a member that is revoked.
func (m *mesh) dropServices(tx *store.Tx, memberID string) error {
	all, err := tx.ServicesOf(memberID)
	for _, row := range all {
		err = errors.Join(err, m.withdraw(tx, row, row.Deployer))
	}
	if len(all) > 0 {
		tx.AfterCommit(func() { m.logFailed("remove the services of a member", m.sweepServices(time.Now())) })
	}
	return err
}
