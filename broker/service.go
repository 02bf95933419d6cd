package broker

import (
	"encoding/json"
	"errors"
	"sync"

	"claudemesh/broker/runner"
	"claudemesh/store"
	"claudemesh/wire"
)

// A service is a tool server that the broker runs, in memory. The store has
// what must outlive the process, its secrets too.
type service struct {
	// acting is held while the runner is told what to do with the service, so
	// that it is told in the order of the commits. It is taken before mesh.mu,
	// and no write to the store waits for it.
	acting sync.Mutex

	// Guarded by mesh.mu, and changed by the writer of the store alone.
	row      store.Service // without its secrets
	scope    wire.Scope
	tools    []wire.MCPTool
	pending  bool          // the runner has yet to be told of this deployment: what it says is of the one before
	updating bool          // a new version is built beside what runs
	queued   bool          // it waits for its turn to be started, as row.Error says
	resting  bool          // the broker runs no services now
	removing bool          // the sweep is removing it
	changes  int           // that the runner has told
	lost     *runner.Event // the last of them, if it could not be written down; the sweep tries again
	asker    *asker        // is told how the deployment or update goes; nil for nobody
}

// An asker is who waits for a deployment. That goes on if it does not.
type asker struct {
	conn  *conn
	reqID string
}

func (a *asker) tell(f wire.Frame) {
	if a != nil {
		a.conn.reply(a.reqID, f)
	}
}

// status is where the service stands. It is called with mesh.mu held.
func (svc *service) status() wire.ServiceStatus {
	if svc.resting {
		return wire.ServiceStopped
	}
	return wire.ServiceStatus(svc.row.Status)
}

// withdrawn reports whether the service is to be removed. It is called with
// mesh.mu held.
func (svc *service) withdrawn() bool { return svc.row.Status == string(wire.ServiceStopped) }

// noSuchService is the same for a service that is not there and for one that is
// not for who asks.
func noSuchService(name string) error {
	return wire.Errorf(wire.NotFound, "there is no service %q in this mesh", wire.Shorten(name, 64))
}

// owned reports whether a session may do anything with the service: that of who
// has deployed it, or of an admin. It is called with mesh.mu held.
func (svc *service) owned(by *session) bool {
	return svc.row.MemberID == by.member.id || by.member.permission == wire.Admin
}

// serviceFor returns the service of that name if s may know of it: who owns it,
// and, until it is withdrawn, who is in its scope. own says that s owns it. It is
// called with m.mu held.
func (m *mesh) serviceFor(s *session, name string) (svc *service, own bool, err error) {
	svc = m.services[name]
	if svc == nil {
		return nil, false, noSuchService(name)
	}
	own = svc.owned(s)
	if !own && (svc.withdrawn() || !m.inScope(svc, s)) {
		return nil, false, noSuchService(name)
	}
	return svc, own, nil
}

// ownService is serviceFor for who may do that with the service, in a write.
// The row is as the writes before have left it.
func (m *mesh) ownService(tx *store.Tx, s *session, name, do string) (*service, *store.Service, error) {
	m.mu.Lock()
	svc, own, err := m.serviceFor(s, name)
	m.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if !own {
		return nil, nil, wire.Errorf(wire.Forbidden, "only %s, who deployed the service, and admins may %s it", svc.row.Deployer, do)
	}
	row, err := tx.Service(name)
	if errors.Is(err, store.ErrNotFound) {
		err = noSuchService(name)
	}
	return svc, row, err
}

// mcpDeploy has a service built and run. It answers when that is on disk, and
// again for each state, to its outcome.
func (m *mesh) mcpDeploy(c *call, req wire.MCPDeploy) error {
	row, spec, err := m.checkDeploy(c, &req)
	if err != nil {
		return err
	}
	var svc *service
	err = m.contribute(c, func(tx *store.Tx) error {
		if err := m.mayDeploy(tx, c.session, row); err != nil {
			return err
		}
		err := tx.PutService(row, m.srv.cfg.MaxServices)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "the mesh has %d services: undeploy one that is not needed any more", m.srv.cfg.MaxServices)
		}
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { svc = m.accepted(row, &asker{c.conn, c.head.ReqID}, c.session) })
		return m.audit(tx, c.session.actor(), wire.AuditServiceDeployed, audited{"service": row.Name, "sourceType": row.SourceType, "scope": string(req.Scope.Kind)})
	})
	if err != nil {
		return err
	}
	m.tryBackground(func() { m.build(svc, row.Version, spec) })
	return nil
}

// mayDeploy refuses a name that is taken, and puts the row in the place of the
// one that the member has.
func (m *mesh) mayDeploy(tx *store.Tx, s *session, row *store.Service) error {
	switch _, err := tx.MCPHost(row.Name); {
	case err == nil:
		return wire.Errorf(wire.Forbidden, "a session hosts a tool server %q: deploy under another name, or have that one removed", row.Name)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	old, err := tx.Service(row.Name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch status := wire.ServiceStatus(old.Status); {
	case old.MemberID != s.member.id:
		return wire.Errorf(wire.Forbidden, "the service %q is another member's: deploy yours under another name", old.Name)
	case status == wire.ServiceBuilding, status == wire.ServiceInstalling, m.isUpdating(old.Name):
		return beingBuilt(old.Name)
	case status == wire.ServiceStopped:
		return wire.Errorf(wire.Conflict, "the service %q is being undeployed: try again when that is over", old.Name)
	}
	row.Version, row.Created = old.Version+1, old.Created
	return nil
}

func (m *mesh) isUpdating(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	svc := m.services[name]
	return svc != nil && svc.updating
}

// accepted takes a deployment over after its commit. Who could use what it
// takes the place of hears nothing until it runs or fails, unless it is no
// longer for them.
func (m *mesh) accepted(row *store.Service, by *asker, s *session) *service {
	m.mu.Lock()
	defer m.mu.Unlock()
	svc := m.services[row.Name]
	if svc == nil {
		svc = new(service)
		m.services[row.Name] = svc
	}
	svc.replaceAsker(by)
	svc.pending, svc.updating, svc.lost = true, false, nil
	svc.take(row)
	by.tell(wire.MCPDeployStatus{ServerName: row.Name, Status: wire.ServiceBuilding})
	m.offerService(svc, news{by: s.author()})
	return svc
}

// replaceAsker has somebody else, nil for nobody, be told how the service does.
// It is called with mesh.mu held.
func (svc *service) replaceAsker(by *asker) {
	if svc.asker != nil {
		svc.asker.tell(wire.MCPDeployStatus{ServerName: svc.row.Name, Status: wire.ServiceFailed, Error: "another deployment or an end of the service came meanwhile"})
	}
	svc.asker = by
}

// take has the service be what the row says. It is called with mesh.mu held.
func (svc *service) take(row *store.Service) {
	svc.row = *row
	svc.row.Secrets = nil
	svc.scope, svc.tools = wire.Scope{}, nil
	json.Unmarshal(row.Scope, &svc.scope) // written by the broker, as the tools are
	json.Unmarshal(row.Tools, &svc.tools)
}

// build has the runner build a deployment, unless another or an end has come meanwhile.
func (m *mesh) build(svc *service, version int, spec runner.Spec) {
	svc.acting.Lock()
	defer svc.acting.Unlock()
	m.mu.Lock()
	due := m.services[svc.row.Name] == svc && svc.row.Version == version && !svc.withdrawn()
	name := svc.row.Name
	if due {
		svc.pending = false
	}
	m.mu.Unlock()
	if !due {
		return
	}
	m.orFailed(name, func(r serviceRunner) error { return r.Deploy(name, spec) })
}

// orFailed has the runner do something; if it will not, the service has failed.
func (m *mesh) orFailed(name string, do func(serviceRunner) error) {
	r, err := m.runner()
	if err == nil {
		err = do(r)
	}
	if err != nil {
		m.serviceChanged(runner.Event{Name: name, Status: runner.Failed, Cause: runner.ByDeploy, Error: err.Error()})
	}
}
