package peer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"claudemesh/wire"
)

const (
	deployTimeout   = 10 * time.Minute // from the request to the outcome, whatever comes between
	undeployTimeout = 30 * time.Second // a service is given time to end
	maxServices     = 1000             // that a client keeps in mind
)

// Deploy has the broker build and run a service, and returns its outcome: running,
// or failed, with the reason. That takes as long as the service's dependencies
// do, 10 minutes at most unless ctx ends before; the broker goes on with it when
// nobody waits any more. progress is told the states before the outcome; it may
// be nil. An error is a refusal, or that the outcome is not known.
func (c *Client) Deploy(ctx context.Context, req wire.MCPDeploy, progress func(wire.MCPDeployStatus)) (wire.MCPDeployStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	return callUntil(ctx, c, req, building, progress)
}

// UpdateService has the broker build a service anew from its source, and is
// otherwise Deploy. One that fails may leave running what ran before: Kept.
func (c *Client) UpdateService(ctx context.Context, name string, progress func(wire.MCPDeployStatus)) (wire.MCPDeployStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	return callUntil(ctx, c, wire.MCPUpdate{ServerName: name}, building, progress)
}

// building reports whether the outcome of a deployment is yet to come.
func building(s *wire.MCPDeployStatus) bool {
	return s.Status == wire.ServiceBuilding || s.Status == wire.ServiceInstalling
}

// Undeploy ends a service and has the broker delete it.
func (c *Client) Undeploy(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, undeployTimeout)
	defer cancel()
	_, err := Call(ctx, c, wire.MCPUndeploy{ServerName: name})
	return err
}

// services are the deployed services that this client may use and that run.
type services struct {
	byName  map[string]wire.DeployedService
	changed signal
}

// reset replaces all of them by what a hello_ack has.
func (s *services) reset(all []wire.DeployedService) {
	s.byName = make(map[string]wire.DeployedService, len(all))
	for _, d := range all[:min(len(all), maxServices)] {
		if d.Name != "" {
			s.byName[d.Name] = d
		}
	}
	s.changed.fire()
}

// put adds a service, or replaces it.
func (s *services) put(d wire.DeployedService) {
	if s.byName == nil {
		s.byName = make(map[string]wire.DeployedService)
	}
	if _, known := s.byName[d.Name]; d.Name == "" || !known && len(s.byName) >= maxServices {
		return
	}
	s.byName[d.Name] = d
	s.changed.fire()
}

func (s *services) remove(name string) {
	if _, known := s.byName[name]; known {
		delete(s.byName, name)
		s.changed.fire()
	}
}

// serviceEvent keeps the services up to date by a system event.
func (c *Client) serviceEvent(p *wire.Push) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.services
	switch p.Event {
	case wire.EventMCPDeployed:
		var e wire.MCPDeployed
		if wire.Decode(p.EventData, &e) == nil {
			s.put(wire.DeployedService{Name: e.Name, Description: e.Description, Status: wire.ServiceRunning, Tools: e.Tools, DeployedBy: e.DeployedBy})
		}
	case wire.EventMCPUpdated:
		var e wire.MCPUpdated
		if wire.Decode(p.EventData, &e) == nil {
			d := s.byName[e.Name]
			d.Name, d.Status, d.Tools, d.Cut = e.Name, wire.ServiceRunning, e.Tools, false
			s.put(d)
		}
	case wire.EventMCPUndeployed:
		var e wire.MCPUndeployed
		if wire.Decode(p.EventData, &e) == nil {
			s.remove(e.Name)
		}
	case wire.EventMCPCrashed:
		var e wire.MCPCrashed
		if wire.Decode(p.EventData, &e) == nil {
			s.remove(e.Name)
		}
	}
}

// Services returns the deployed services that run and that this client may use,
// ascending by name: those of the last hello, kept up to date by what the broker
// has told since. Their texts and tools are a peer's. The caller changes none of it.
func (c *Client) Services() []wire.DeployedService {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.services.byName), func(a, b wire.DeployedService) int { return cmp.Compare(a.Name, b.Name) })
}

// FetchServiceTools asks for the tools of those services that came without: a
// hello carries only so many.
func (c *Client) FetchServiceTools(ctx context.Context) error {
	for _, d := range c.Services() {
		if !d.Cut {
			continue
		}
		res, err := Call(ctx, c, wire.MCPSchema{ServerName: d.Name})
		if err != nil {
			return err
		}
		c.mu.Lock()
		if now, ok := c.services.byName[d.Name]; ok && now.Cut {
			now.Tools, now.Cut = res.Tools, false
			c.services.put(now)
		}
		c.mu.Unlock()
	}
	return nil
}

// ServicesChanged returns a channel that is closed when Services are others
// the next time. Take it before looking at them.
func (c *Client) ServicesChanged() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.services.changed.wait()
}

// FillSecrets puts the values of the vault in the places of the references to
// them, in the environment of what is deployed and in its source's token, and
// returns the keys of those. It fails as ResolveVault does.
func (c *Client) FillSecrets(ctx context.Context, req *wire.MCPDeploy) (keys []string, err error) {
	if req.Config.Env, keys, err = c.ResolveVault(ctx, req.Config.Env); err != nil {
		return nil, err
	}
	more, err := c.fillToken(ctx, &req.Source)
	if err != nil {
		return nil, err
	}
	keys = append(keys, more...)
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// fillToken is FillSecrets for the token of a source.
func (c *Client) fillToken(ctx context.Context, src *wire.ServiceSource) (keys []string, err error) {
	const token = "the token of the source"
	auth, keys, err := c.ResolveVault(ctx, map[string]string{token: src.Auth})
	if err == nil {
		src.Auth = auth[token]
	}
	return keys, err
}
