package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"claudemesh/broker/runner"
	"claudemesh/broker/runner/confine"
	"claudemesh/store"
	"claudemesh/wire"
)

// What the setting --services says.
const (
	servicesOn     = "on"
	servicesAdmins = "admins"
	servicesOff    = "off"
)

// mayRun refuses who may not have the broker run anything.
func (m *mesh) mayRun(s *session) error {
	switch {
	case m.srv.cfg.Services == servicesOff:
		return wire.Errorf(wire.Forbidden, "this broker runs no services: its operator can let it with --services on")
	case m.srv.cfg.Services == servicesAdmins && !m.isAdmin(s.member):
		return wire.Errorf(wire.Forbidden, "this broker runs services of admins only: ask one to deploy it, or the operator for --services on")
	}
	return nil
}

// checkDeploy checks all that needs no transaction, and makes the row and what
// the runner is given.
func (m *mesh) checkDeploy(c *call, req *wire.MCPDeploy) (*store.Service, runner.Spec, error) {
	var spec runner.Spec
	if !wire.ValidServerName(req.ServerName) {
		return nil, spec, wire.Errorf(wire.InvalidName, "server_name must have 1 to 64 letters, digits, hyphens and underscores, the first a letter or digit")
	}
	if err := m.mayRun(c.session); err != nil {
		return nil, spec, err
	}
	if err := errors.Join(fits("description", req.Description, wire.MaxServerText), m.checkServiceConfig(&req.Config)); err != nil {
		return nil, spec, err
	}
	if req.Scope == nil {
		req.Scope = new(wire.Scope)
	}
	scope, err := m.resolveScope(*req.Scope)
	if err != nil {
		return nil, spec, err
	}
	req.Scope = &scope
	if spec, err = m.specFor(c, req); err != nil {
		return nil, spec, err
	}
	row, err := m.serviceRow(c.session, req)
	return row, spec, err
}

// specFor returns what the runner is given for a deployment, once it has found
// nothing against it.
func (m *mesh) specFor(c *call, req *wire.MCPDeploy) (runner.Spec, error) {
	src := &req.Source
	if src.Kind == wire.SourceNpx {
		src.Package = cmp.Or(src.Package, req.ServerName)
	}
	if src.Kind == wire.SourceZip {
		if err := m.checkArchive(c.session, src.FileID); err != nil {
			return runner.Spec{}, err
		}
	}
	spec := m.runnerSpec(src, &req.Config)
	r, err := m.runner()
	if err != nil {
		return spec, wire.Errorf(wire.DeployError, "services cannot be run here: %s", wire.Shorten(err.Error(), wire.MaxCallError))
	}
	if err := r.Check(req.ServerName, spec); err != nil {
		return spec, wire.Errorf(wire.BadRequest, "%s", wire.Shorten(clean(err.Error(), wire.MaxCallError), wire.MaxCallError))
	}
	return spec, nil
}

// serviceRow makes the row of a deployment.
func (m *mesh) serviceRow(s *session, req *wire.MCPDeploy) (*store.Service, error) {
	secrets, err := m.sealService(&req.Source, &req.Config)
	if err != nil {
		return nil, err
	}
	row := &store.Service{
		Name: req.ServerName, Description: cmp.Or(req.Description, "MCP server: "+req.ServerName), MemberID: s.member.id, Deployer: s.author(),
		SourceType: string(req.Source.Kind), Secrets: secrets, Status: string(wire.ServiceBuilding), Version: 1, Created: time.Now(), Updated: time.Now(),
		Tools: json.RawMessage("[]"),
	}
	for _, f := range []struct {
		to *json.RawMessage
		of any
	}{{&row.Source, req.Source}, {&row.Config, req.Config}, {&row.Scope, req.Scope}} {
		if *f.to, err = json.Marshal(f.of); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// serviceSecrets are what of a deployment is sealed.
type serviceSecrets struct {
	Env  map[string]string `json:"env,omitempty"`
	Auth string            `json:"auth,omitempty"`
}

// sealService takes what is secret out of a source and a configuration, and
// makes it fit to be kept.
func (m *mesh) sealService(src *wire.ServiceSource, cfg *wire.ServiceConfig) ([]byte, error) {
	secrets := serviceSecrets{cfg.Env, src.Auth}
	cfg.Env, src.Auth = nil, ""
	if len(secrets.Env) == 0 && secrets.Auth == "" {
		return nil, nil
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	return m.srv.atRest.Seal(plain), nil
}

// specOf returns what the runner is given for a service that is on record.
func (m *mesh) specOf(row *store.Service) (runner.Spec, error) {
	var src wire.ServiceSource
	var cfg wire.ServiceConfig
	if err := errors.Join(json.Unmarshal(row.Source, &src), json.Unmarshal(row.Config, &cfg)); err != nil {
		return runner.Spec{}, err
	}
	if row.Secrets == nil {
		return m.runnerSpec(&src, &cfg), nil
	}
	plain, err := m.srv.atRest.Open(row.Secrets)
	var secrets serviceSecrets
	if err == nil {
		err = json.Unmarshal(plain, &secrets)
	}
	if err != nil {
		return runner.Spec{}, wire.Errorf(wire.DeployError, "what is secret of the service %q cannot be read any more: deploy it again", row.Name)
	}
	cfg.Env, src.Auth = secrets.Env, secrets.Auth
	return m.runnerSpec(&src, &cfg), nil
}

// checkArchive refuses a file that cannot be deployed from.
func (m *mesh) checkArchive(s *session, id string) error {
	return m.db.Read(context.Background(), func(rx *store.Rx) error {
		f, err := liveFile(rx, id, time.Now())
		if err != nil {
			return err
		}
		_, may, err := m.readerOf(s).mayFetch(rx, f)
		switch {
		case err != nil:
			return err
		case !may:
			return noSuchFile(id)
		case f.Encrypted:
			return wire.Errorf(wire.BadRequest, "the file %q is sealed, and the broker cannot open it: share the archive without sealing it, or deploy from git", f.Name)
		case f.Size > wire.MaxServiceZip:
			return wire.Errorf(wire.TooLarge, "the file %q has %d bytes, and an archive that is deployed at most %d: leave out what is installed anyway", f.Name, f.Size, wire.MaxServiceZip)
		}
		return nil
	})
}

// opensArchive returns what opens a shared file, which may be gone by then.
func (m *mesh) opensArchive(id string) func() (*os.File, error) {
	return func() (*os.File, error) {
		f, err := m.blobs.Open(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errors.New("the archive is no longer among the files of the mesh: share it again, and deploy it")
		}
		return f, err
	}
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// checkServiceConfig checks what the broker can judge. What can be enforced, the
// runner says.
func (m *mesh) checkServiceConfig(cfg *wire.ServiceConfig) error {
	if n := len(cfg.Env); n > wire.MaxServiceEnv {
		return wire.Errorf(wire.TooLarge, "env has %d variables, and %d are the most", n, wire.MaxServiceEnv)
	}
	size := 0
	for name, value := range cfg.Env {
		if !envName.MatchString(name) {
			return wire.Errorf(wire.BadRequest, "%q in env is no name of a variable: letters, digits and underscores, the first no digit", wire.Shorten(name, 60))
		}
		if strings.ContainsRune(value, 0) {
			return wire.Errorf(wire.BadRequest, "the value of %s in env has a zero byte: put it into a file of the vault", name)
		}
		size += len(name) + len(value)
	}
	if size > wire.MaxServiceEnvBytes {
		return wire.Errorf(wire.TooLarge, "env has %d bytes, and %d are the most", size, wire.MaxServiceEnvBytes)
	}
	switch {
	case cfg.MemoryMB < 0 || cfg.MemoryMB > 0 && cfg.MemoryMB < confine.MinMemoryMB || cfg.MemoryMB > wire.MaxServiceMemory:
		return wire.Errorf(wire.BadRequest, "memory_mb must be %d to %d", confine.MinMemoryMB, wire.MaxServiceMemory)
	case cfg.MemoryMB > m.srv.cfg.ServiceMemory:
		return wire.Errorf(wire.Limit, "memory_mb is %d, and this broker lets a service have %d: ask for less, or the operator for more --service-memory", cfg.MemoryMB, m.srv.cfg.ServiceMemory)
	case !(cfg.CPUs >= 0 && cfg.CPUs <= wire.MaxServiceCPUs):
		return wire.Errorf(wire.BadRequest, "cpus must be more than 0 and at most %d", wire.MaxServiceCPUs)
	}
	if err := few("args", cfg.Args, wire.MaxServiceArgs); err != nil {
		return err
	}
	for _, a := range cfg.Args {
		if strings.ContainsRune(a, 0) {
			return wire.Errorf(wire.BadRequest, "an entry of args has a zero byte")
		}
		if err := fits("an entry of args", a, wire.MaxServiceArg); err != nil {
			return err
		}
	}
	return m.checkServiceHosts(cfg.NetworkAllow)
}

func (m *mesh) checkServiceHosts(hosts []string) error {
	if err := few("network_allow", hosts, wire.MaxServiceHosts); err != nil {
		return err
	}
	if !slices.Contains(hosts, "*") {
		return nil
	}
	if len(hosts) > 1 {
		return wire.Errorf(wire.BadRequest, `network_allow has "*" beside other hosts: give one or the other`)
	}
	if !m.srv.cfg.ServiceHostNetwork {
		return wire.Errorf(wire.BadRequest, `network_allow: this broker lets no service have all of its machine's network: name the hosts that it needs, or ask the operator for --service-host-network`)
	}
	return nil
}
