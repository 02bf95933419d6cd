package broker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"claudemesh/broker/runner"
	"claudemesh/store"
	"claudemesh/wire"
)

// loadServices reads the services. Who was being built when the broker ended is
// not built on, for nobody waits for it; who ran is started again.
func (m *mesh) loadServices(tx *store.Tx) error {
	rows, err := tx.Services()
	if err != nil {
		return err
	}
	m.logFailed("delete the secrets that services have left", m.dropSecrets())
	resume := false
	for _, row := range rows {
		svc := &service{resting: m.srv.cfg.Services == servicesOff}
		switch wire.ServiceStatus(row.Status) {
		case wire.ServiceBuilding, wire.ServiceInstalling:
			row.Status, row.Error = string(wire.ServiceFailed), "the broker ended while it was being built: deploy it again"
			err = tx.SetService(row)
		case wire.ServiceRunning, wire.ServiceRestarting:
			if !svc.resting {
				resume, row.Status, row.Error = true, string(wire.ServiceRestarting), ""
				err = tx.SetService(row)
			}
		}
		if err != nil {
			return err
		}
		svc.take(row)
		m.services[row.Name] = svc
	}
	if resume {
		tx.AfterCommit(func() { m.tryBackground(m.resumeServices) })
	}
	return nil
}

// resumeServices starts what ran when the broker ended.
func (m *mesh) resumeServices() {
	var rows []*store.Service
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		rows, err = rx.Services()
		return err
	})
	m.logFailed("read the services", err)
	for _, row := range rows {
		m.mu.Lock()
		svc := m.services[row.Name]
		m.mu.Unlock()
		if svc != nil {
			m.resumeService(svc, row)
		}
	}
}

// resumeService starts a service, unless it was deployed again or ended meanwhile.
func (m *mesh) resumeService(svc *service, row *store.Service) {
	svc.acting.Lock()
	defer svc.acting.Unlock()
	m.mu.Lock()
	due := svc.row.Version == row.Version && svc.status() == wire.ServiceRestarting
	m.mu.Unlock()
	if !due {
		return
	}
	m.orFailed(row.Name, func(r serviceRunner) error {
		spec, err := m.specOf(row)
		if err != nil {
			return err
		}
		return r.Resume(row.Name, spec)
	})
}

// serviceChanged keeps what the runner tells of a service, and has those told
// who may know. What it tells while the mesh closes changes nothing: what runs
// then is to run again.
func (m *mesh) serviceChanged(e runner.Event) {
	m.mu.Lock()
	svc := m.services[e.Name]
	ignored := svc == nil || svc.pending || m.closed
	if ignored {
		m.mu.Unlock()
		return
	}
	svc.changes++
	svc.lost = nil
	nth := svc.changes
	m.mu.Unlock()
	e.Error = clean(e.Error, wire.MaxCallError)
	m.enqueueChange(svc, nth, &e, func(tx *store.Tx) error { return m.keepChange(tx, svc, &e) })
}

func (m *mesh) enqueueChange(svc *service, nth int, e *runner.Event, keep func(*store.Tx) error) {
	err := m.db.Enqueue(context.Background(), keep, func(err error) {
		if err != nil {
			m.lostChange(svc, nth, e, err)
		}
	})
	m.logFailed("keep the state of a service", err)
}

// lostChange tells who waits for a deployment that its state, the nth that was told,
// cannot be kept: the disk may be full. The last one is tried again, or the service
// would be taken for one that is being built from then on.
func (m *mesh) lostChange(svc *service, nth int, e *runner.Event, err error) {
	m.log.Error("the state of a service cannot be kept; it is tried again", "service", svc.row.Name, "err", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	svc.asker.tell(asError(err))
	svc.asker, svc.updating = nil, false
	if svc.changes == nth {
		svc.lost = e
	}
}

// keepLost tries again to write down what became of a service, unless the runner has
// told more since.
func (m *mesh) keepLost(svc *service) {
	m.mu.Lock()
	e, nth := svc.lost, svc.changes
	svc.lost = nil
	m.mu.Unlock()
	if e == nil {
		return
	}
	m.enqueueChange(svc, nth, e, func(tx *store.Tx) error {
		m.mu.Lock()
		isLast := svc.changes == nth
		m.mu.Unlock()
		if !isLast {
			return nil
		}
		return m.keepChange(tx, svc, e)
	})
}

// keepChange writes down what became of a service.
func (m *mesh) keepChange(tx *store.Tx, svc *service, e *runner.Event) error {
	row, err := tx.Service(e.Name)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it is gone
	}
	if err != nil {
		return err
	}
	switch status := wire.ServiceStatus(row.Status); {
	case status == wire.ServiceStopped: // it is on its way out
		return nil
	case (status == wire.ServiceBuilding || status == wire.ServiceInstalling) && e.Cause != runner.ByDeploy: // of what ran before
		return nil
	case e.Cause == runner.ByUpdate && (e.Status == runner.Building || e.Status == runner.Installing): // what runs goes on
		tx.AfterCommit(func() { m.tellAsker(svc, e) })
		return nil
	}
	before := *row
	if err := m.applyChange(row, e); err != nil {
		return err
	}
	if err := tx.SetService(row); err != nil {
		return err
	}
	tx.AfterCommit(func() { m.changedService(svc, &before, row, e) })
	return nil
}

// applyChange has the row be what the runner tells.
func (m *mesh) applyChange(row *store.Service, e *runner.Event) error {
	row.Status, row.Restarts, row.Updated = string(e.Status), e.Restarts, time.Now()
	if e.Cause == runner.ByKeep || unchanged(e) {
		return nil
	}
	row.Error = e.Error
	if e.Runtime != "" {
		row.Runtime = e.Runtime
	}
	if e.Status != runner.Running {
		return nil
	}
	row.Error, row.Revision = "", e.Commit
	if e.Cause == runner.ByUpdate {
		row.Previous = e.Previous
		row.Version++
	}
	tools, dropped := usableTools(e.Tools)
	if dropped > 0 {
		m.log.Warn("tools of a service are left out: they have no name or schema, or there are too many", "service", row.Name, "tools", dropped)
	}
	var err error
	row.Tools, err = json.Marshal(tools)
	return err
}

// unchanged reports whether an update found nothing new.
func unchanged(e *runner.Event) bool {
	return e.Cause == runner.ByUpdate && e.Commit != "" && e.Commit == e.Previous
}

// usableTools leaves out what a member could not register either, and what is
// beyond the limits.
func usableTools(all []wire.MCPTool) (tools []wire.MCPTool, dropped int) {
	tools = []wire.MCPTool{}
	seen := make(map[string]bool)
	room := wire.MaxServerBytes
	for _, t := range all {
		if len(t.InputSchema) == 0 {
			t.InputSchema = wire.Value(`{"type":"object"}`)
		}
		size := jsonSize(t) + 1
		if checkName("tool", t.Name, wire.MaxToolName) != nil || seen[t.Name] || t.InputSchema[0] != '{' || size > room || len(tools) == wire.MaxServerTools {
			dropped++
			continue
		}
		seen[t.Name] = true
		room -= size
		tools = append(tools, t)
	}
	return tools, dropped
}

// changedService takes over what was written down, and tells of it.
func (m *mesh) changedService(svc *service, before, row *store.Service, e *runner.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	svc.take(row)
	svc.queued = e.Cause == runner.ByQueue
	if e.Restarts > before.Restarts {
		m.srv.metrics.serviceRestarts.Add(float64(e.Restarts - before.Restarts))
	}
	n := news{by: row.Deployer}
	switch e.Status {
	case runner.Running:
		n.stay = m.newsOfRun(svc, before, e)
	case runner.Crashed, runner.Failed:
		n.crash = &wire.MCPCrashed{Name: row.Name, Error: row.Error, Restarts: row.Restarts}
	}
	m.answerAsker(svc, e)
	m.offerService(svc, n)
}

// newsOfRun is what those are told who know the service, now that it runs; nil
// for nothing. It is called with m.mu held.
func (m *mesh) newsOfRun(svc *service, before *store.Service, e *runner.Event) *happening {
	switch {
	case e.Cause == runner.ByKeep || unchanged(e):
		return nil
	case e.Cause == runner.ByDeploy:
		h := m.deployedNews(svc)
		return &h
	case e.Cause == runner.ByUpdate || !bytes.Equal(before.Tools, svc.row.Tools):
		return &happening{wire.EventMCPUpdated, wire.MCPUpdated{Name: svc.row.Name, PrevSHA: before.Revision, NewSHA: svc.row.Revision, Tools: svc.tools}}
	}
	return nil
}

func (m *mesh) tellAsker(svc *service, e *runner.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answerAsker(svc, e)
}

// answerAsker answers who waits for a deployment or an update, for whom it is
// over with its outcome. It is called with m.mu held.
func (m *mesh) answerAsker(svc *service, e *runner.Event) {
	res := wire.MCPDeployStatus{ServerName: e.Name, Status: wire.ServiceStatus(e.Status), Error: e.Error}
	switch {
	case slices.Contains([]runner.Cause{runner.ByRestart, runner.ByResume, runner.ByQueue, runner.ByTools}, e.Cause), svc.asker == nil && !svc.updating:
		return
	case e.Cause == runner.ByKeep:
		res.Status, res.Kept = wire.ServiceFailed, true
	case e.Status == runner.Building || e.Status == runner.Installing:
		svc.asker.tell(res)
		return
	case e.Status == runner.Running:
		res.Tools, res.Commit, res.Previous = svc.tools, svc.row.Revision, e.Previous
	default:
		res.Status, res.Error = wire.ServiceFailed, cmp.Or(e.Error, fmt.Sprintf("the service is %s", e.Status))
	}
	svc.asker.tell(res)
	svc.asker, svc.updating = nil, false
}
