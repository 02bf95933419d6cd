package broker

import (
	"encoding/json"
	"slices"

	"claudemesh/wire"
)

// inScope reports whether s may use a service. It is called with m.mu held.
func (m *mesh) inScope(svc *service, s *session) bool {
	return svc.row.MemberID == s.member.id || m.scopeHas(svc.scope, s)
}

// scopeHas is called with m.mu held.
func (m *mesh) scopeHas(scope wire.Scope, s *session) bool {
	in := func(group string) bool { return wire.AnyMatches(s.actingGroups(), group) }
	switch scope.Kind {
	case wire.ScopeMesh:
		return true
	case wire.ScopePeers:
		return slices.Contains(scope.Peers, s.member.id)
	case wire.ScopeGroup:
		return in(scope.Group)
	case wire.ScopeGroups:
		return slices.ContainsFunc(scope.Groups, in)
	case wire.ScopeRole:
		return slices.ContainsFunc(s.actingGroups(), func(g wire.Group) bool { return g.Role == scope.Role })
	}
	return false
}

// resolveScope checks a scope that is set, and puts member ids in the place of
// names: whoever takes a name later is not meant.
func (m *mesh) resolveScope(scope wire.Scope) (wire.Scope, error) {
	var err error
	switch scope.Kind {
	case "":
		scope.Kind = wire.ScopePeer
	case wire.ScopePeers:
		scope.Peers, err = m.membersNamed(scope.Peers)
	case wire.ScopeGroup:
		scope.Group, err = groupNamed(scope.Group)
	case wire.ScopeGroups:
		if len(scope.Groups) == 0 || len(scope.Groups) > wire.MaxGroups {
			return scope, wire.Errorf(wire.BadRequest, "the groups of a scope must be 1 to %d", wire.MaxGroups)
		}
		for i := range scope.Groups {
			if scope.Groups[i], err = groupNamed(scope.Groups[i]); err != nil {
				break
			}
		}
	case wire.ScopeRole:
		if scope.Role == "" || clean(scope.Role, wire.MaxRole) != scope.Role {
			err = wire.Errorf(wire.BadRequest, "the role of a scope must have 1 to %d characters without control characters", wire.MaxRole)
		}
	}
	return scope, err
}

func groupNamed(name string) (string, error) {
	g, err := wire.CleanGroup(wire.Group{Name: name})
	return g.Name, err
}

// membersNamed returns the ids of members, each named by its id, its public key
// or the name that the mesh has on record for it.
func (m *mesh) membersNamed(names []string) ([]string, error) {
	if len(names) == 0 || len(names) > wire.MaxScopePeers {
		return nil, wire.Errorf(wire.BadRequest, "the peers of a scope must be 1 to %d", wire.MaxScopePeers)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, name := range names {
		mb := m.members[name]
		if mb == nil {
			mb = m.byKey[name]
		}
		for _, o := range m.members {
			if o.name != name || o == mb {
				continue
			}
			if mb != nil {
				return nil, wire.Errorf(wire.BadRequest, "several members are called %q: give the member id of the one you mean", wire.Shorten(name, 60))
			}
			mb = o
		}
		if mb == nil {
			return nil, wire.Errorf(wire.BadRequest, "no member is called %q: give the name that the mesh has on record, or a member id", wire.Shorten(name, 60))
		}
		if !slices.Contains(ids, mb.id) {
			ids = append(ids, mb.id)
		}
	}
	return ids, nil
}

// A happening is an event with its data.
type happening struct {
	event string
	data  any
}

// news is what a change of a service means to those who know of it.
type news struct {
	stay  *happening       // to those who may use it still; nil for nothing
	crash *wire.MCPCrashed // to those who may not any more; nil for an MCPUndeployed
	by    string           // whose doing it is
}

// deployedNews tells of a service that is there. It is called with m.mu held.
func (m *mesh) deployedNews(svc *service) happening {
	return happening{wire.EventMCPDeployed, wire.MCPDeployed{
		Name: svc.row.Name, Description: svc.row.Description, ToolCount: len(svc.tools), DeployedBy: svc.row.Deployer, Scope: svc.scope, Tools: svc.tools,
	}}
}

// offerService brings what the connected sessions know of a service up to date, those
// of commands too. What a session was told of is in session.offered, so each
// hears of what it gains and loses once, whatever the reason. It is called with
// m.mu held.
func (m *mesh) offerService(svc *service, n news) {
	o := offering{m: m, svc: svc, news: n}
	for _, s := range m.sessions {
		o.to(s)
	}
	for s := range m.transients {
		o.to(s)
	}
}

// reoffer brings what the sessions of a member know of all services up to date,
// for its groups have changed. It is called with m.mu held.
func (m *mesh) reoffer(mb *member) {
	for _, svc := range m.services {
		o := offering{m: m, svc: svc, news: news{by: mb.name}}
		for _, s := range mb.live {
			o.to(s)
		}
		for s := range m.transients {
			if s.member == mb {
				o.to(s)
			}
		}
	}
}

// An offering tells sessions of a service. Events are encoded once.
type offering struct {
	m                           *mesh
	svc                         *service
	news                        news
	gained, stay, bye, byeOwner []byte
}

func (o *offering) to(s *session) {
	if s.conn == nil {
		return
	}
	name := o.svc.row.Name
	knew := s.offered[name]
	knows := o.svc.usable(knew) && o.m.inScope(o.svc, s)
	switch {
	case knows && !knew:
		if s.offered == nil {
			s.offered = make(map[string]bool)
		}
		s.offered[name] = true
		h := o.m.deployedNews(o.svc)
		o.push(s, &o.gained, &h)
	case knew && !knows:
		delete(s.offered, name)
		o.pushLost(s)
	case knew && o.news.stay != nil:
		o.push(s, &o.stay, o.news.stay)
	}
}

// reasonKept is what those are told of the reason of a crash who may not read the
// log: what the service wrote last may be in the reason.
const reasonKept = "it does not run any more; why is for who deployed it, and admins, to read in its log"

// pushLost tells a session that it may use the service no longer.
func (o *offering) pushLost(s *session) {
	crash := o.news.crash
	switch {
	case crash == nil:
		o.push(s, &o.bye, &happening{wire.EventMCPUndeployed, wire.MCPUndeployed{Name: o.svc.row.Name, By: o.news.by}})
	case o.svc.owned(s):
		o.push(s, &o.byeOwner, &happening{wire.EventMCPCrashed, *crash})
	default:
		o.push(s, &o.bye, &happening{wire.EventMCPCrashed, wire.MCPCrashed{Name: crash.Name, Error: reasonKept, Restarts: crash.Restarts}})
	}
}

func (o *offering) push(s *session, encoded *[]byte, h *happening) {
	if *encoded == nil {
		body, err := json.Marshal(h.data)
		if err != nil {
			o.m.log.Error("encode event", "event", h.event, "err", err)
			return
		}
		*encoded = o.m.eventFrame(h.event, body)
	}
	s.conn.out.push(frame{kind: ephemeral, data: *encoded})
}

// usable reports whether who is in scope may be told of the service: it runs,
// or, for who knows it, is about to again. It is called with mesh.mu held.
func (svc *service) usable(known bool) bool {
	switch svc.status() {
	case wire.ServiceRunning:
		return true
	case wire.ServiceBuilding, wire.ServiceInstalling, wire.ServiceRestarting:
		return known
	}
	return false
}
