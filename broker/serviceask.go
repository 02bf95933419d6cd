package broker

import (
	"cmp"
	"maps"
	"slices"

	"claudemesh/store"
	"claudemesh/wire"
)

// helloServices is how many bytes of tools a HelloAck carries.
const helloServices = 1 << 20

// servicesFor lists the services that s may use now, and notes that it knows of
// them. It is called with m.mu held.
func (m *mesh) servicesFor(s *session) []wire.DeployedService {
	list := []wire.DeployedService{}
	room := helloServices
	s.offered = nil
	for _, svc := range m.sortedServices() {
		if svc.status() != wire.ServiceRunning || !m.inScope(svc, s) {
			continue
		}
		if s.offered == nil {
			s.offered = make(map[string]bool)
		}
		s.offered[svc.row.Name] = true
		d := wire.DeployedService{Name: svc.row.Name, Description: svc.row.Description, Status: wire.ServiceRunning, Tools: []wire.MCPTool{}, DeployedBy: svc.row.Deployer}
		if size := len(svc.row.Tools); size <= room {
			room -= size
			d.Tools = notNil(svc.tools)
		} else {
			d.Cut = true
		}
		list = append(list, d)
	}
	return list
}

// sortedServices is called with m.mu held.
func (m *mesh) sortedServices() []*service {
	return slices.SortedFunc(maps.Values(m.services), func(a, b *service) int { return cmp.Compare(a.row.Name, b.row.Name) })
}

// mcpCatalog lists the services that the caller may know of.
func (m *mesh) mcpCatalog(c *call, _ wire.MCPCatalog) (wire.MCPCatalogResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.MCPCatalogResult{Services: []wire.CatalogEntry{}}
	for _, svc := range m.sortedServices() {
		if _, own, err := m.serviceFor(c.session, svc.row.Name); err == nil {
			res.Services = append(res.Services, m.catalogEntry(svc, own))
		}
	}
	return res, nil
}

// catalogEntry leaves out why the service does not run unless it is for who owns
// it: that may be what it wrote last, which is of its log. That it waits for its turn
// is nobody's secret. It is called with m.mu held.
func (m *mesh) catalogEntry(svc *service, own bool) wire.CatalogEntry {
	r := &svc.row
	e := wire.CatalogEntry{
		Name: r.Name, Kind: "mcp", Description: r.Description, Status: svc.status(), ToolCount: len(svc.tools), DeployedBy: r.Deployer, Scope: svc.scope,
		SourceType: wire.SourceType(r.SourceType), Runtime: orNil(r.Runtime), CreatedAt: wire.Time(r.Created), Commit: r.Revision,
		Restarts: r.Restarts, Version: r.Version,
	}
	if own || svc.queued {
		e.Error = r.Error
	}
	if mb := m.members[r.MemberID]; mb != nil {
		e.MemberPubkey = mb.key
	}
	return e
}

// mcpSchema returns the tools of a service.
func (m *mesh) mcpSchema(c *call, req wire.MCPSchema) (wire.MCPSchemaResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.MCPSchemaResult{ServerName: req.ServerName, Tools: []wire.MCPTool{}}
	svc, _, err := m.serviceFor(c.session, req.ServerName)
	if err != nil {
		return res, err
	}
	for _, t := range svc.tools {
		if req.ToolName == "" || t.Name == req.ToolName {
			res.Tools = append(res.Tools, t)
		}
	}
	if req.ToolName != "" && len(res.Tools) == 0 {
		return res, wire.Errorf(wire.NotFound, "the service %q has no tool %q", svc.row.Name, wire.Shorten(req.ToolName, 60))
	}
	return res, nil
}

// mcpScope says who may use a service, and sets that.
func (m *mesh) mcpScope(c *call, req wire.MCPScope) (wire.MCPScopeResult, error) {
	if req.Scope != nil {
		if err := m.setScope(c, req.ServerName, *req.Scope); err != nil {
			return wire.MCPScopeResult{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	svc, _, err := m.serviceFor(c.session, req.ServerName)
	if err != nil {
		return wire.MCPScopeResult{}, err
	}
	return wire.MCPScopeResult{ServerName: svc.row.Name, Scope: svc.scope, DeployedBy: svc.row.Deployer}, nil
}

func (m *mesh) setScope(c *call, name string, scope wire.Scope) error {
	return m.contribute(c, func(tx *store.Tx) error {
		svc, row, err := m.ownService(tx, c.session, name, "change the scope of")
		if err != nil {
			return err
		}
		if scope, err = m.resolveScope(scope); err != nil {
			return err
		}
		if row.Scope, err = scope.MarshalJSON(); err != nil {
			return err
		}
		if err := tx.SetService(row); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			svc.take(row)
			by := c.session.author()
			m.offerService(svc, news{by: by, stay: &happening{wire.EventMCPScopeChanged, wire.MCPScopeChanged{Name: row.Name, Scope: svc.scope, By: by}}})
		})
		return m.audit(tx, c.session.actor(), wire.AuditServiceScoped, audited{"service": row.Name, "scope": string(scope.Kind)})
	})
}

// mcpLogs returns what a service has written.
func (m *mesh) mcpLogs(c *call, req wire.MCPLogs) (wire.MCPLogsResult, error) {
	res := wire.MCPLogsResult{ServerName: req.ServerName, Lines: []string{}}
	lines := cmp.Or(req.Lines, 50)
	if lines < 1 || lines > wire.MaxServiceLog || req.After < 0 {
		return res, wire.Errorf(wire.BadRequest, "lines must be 1 to %d, and after the number of a line", wire.MaxServiceLog)
	}
	m.mu.Lock()
	svc, own, err := m.serviceFor(c.session, req.ServerName)
	if err == nil {
		res.Status = svc.status()
		if !own {
			err = wire.Errorf(wire.Forbidden, "only %s, who deployed the service, and admins may read its log", svc.row.Deployer)
		}
	}
	m.mu.Unlock()
	if err != nil {
		return res, err
	}
	r, err := m.runs.get(nil)
	if err != nil || r == nil {
		return res, err
	}
	text, next := r.Logs(req.ServerName, lines, req.After)
	res.Lines, res.Next = fitLines(notNil(text), next, req.After > 0)
	return res, nil
}

// fitLines leaves out what is more than one answer carries: of what follows a
// line the newest, which come with the next question, else the oldest.
func fitLines(lines []string, next int64, following bool) ([]string, int64) {
	size, n := 0, 0
	if following {
		for n < len(lines) && size <= pageBytes {
			size += jsonSize(lines[n]) + 1
			n++
		}
		return lines[:n], next - int64(len(lines)-n)
	}
	for n < len(lines) && size <= pageBytes {
		size += jsonSize(lines[len(lines)-1-n]) + 1
		n++
	}
	return lines[len(lines)-n:], next
}

// serviceInfo names the services that the caller may use.
func serviceInfo(m *mesh, c *call, _ *store.Rx, res *wire.MeshInfoResult) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, svc := range m.services {
		if !svc.withdrawn() && m.inScope(svc, c.session) {
			res.Services = append(res.Services, svc.row.Name)
		}
	}
	slices.Sort(res.Services)
	return nil
}
