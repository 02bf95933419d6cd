package store

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	serviceColumns = `name, description, member, deployer, source_type, source, config, secrets, scope, status, error, runtime, revision, previous,
		restarts, version, created, updated, tools`
	upsertService = `INSERT INTO service (` + serviceColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, member = excluded.member, deployer = excluded.deployer,
			source_type = excluded.source_type, source = excluded.source, config = excluded.config, secrets = excluded.secrets,
			scope = excluded.scope, status = excluded.status, error = excluded.error, runtime = excluded.runtime, revision = excluded.revision,
			previous = excluded.previous, restarts = excluded.restarts, version = excluded.version, created = excluded.created,
			updated = excluded.updated, tools = excluded.tools`
	selectService    = `SELECT ` + serviceColumns + ` FROM service WHERE name = ?`
	selectServices   = `SELECT ` + serviceColumns + ` FROM service ORDER BY name`
	selectServicesOf = `SELECT ` + serviceColumns + ` FROM service WHERE member = ? ORDER BY name`
	countServices    = `SELECT count(*) FROM service`
	deleteService    = `DELETE FROM service WHERE name = ?`
)

// Service is the record of a tool server that the broker runs.
type Service struct {
	Name        string
	Description string
	MemberID    string // whose it is
	Deployer    string // display name
	SourceType  string
	Source      json.RawMessage // an object, without what is secret
	Config      json.RawMessage // an object, without what is secret
	Secrets     []byte          // sealed by the caller; nil for none
	Scope       json.RawMessage
	Status      string
	Error       string // why it failed or crashed
	Runtime     string // "" before it is known
	Revision    string // the commit of a git source
	Previous    string // the one before
	Restarts    int
	Version     int // 1, and one more for each deployment and update
	Created     time.Time
	Updated     time.Time
	Tools       json.RawMessage // a list of definitions
}

func (s *Service) columns() []any {
	return []any{&s.Name, &s.Description, &s.MemberID, &s.Deployer, &s.SourceType, fromJSON{&s.Source}, fromJSON{&s.Config}, &s.Secrets, fromJSON{&s.Scope},
		&s.Status, &s.Error, &s.Runtime, &s.Revision, &s.Previous, &s.Restarts, &s.Version, &s.Created, &s.Updated, fromJSON{&s.Tools}}
}

// PutService records s in the place of the one with its name. ErrLimit if there
// are then more than limit.
func (tx *Tx) PutService(s *Service, limit int) error {
	var texts [4]string
	for i, raw := range []json.RawMessage{s.Source, s.Config, s.Scope, s.Tools} {
		text, err := rawText(raw)
		if err != nil {
			return err
		}
		texts[i] = text
	}
	if _, err := tx.exec(upsertService, s.Name, s.Description, s.MemberID, s.Deployer, s.SourceType, texts[0], texts[1], s.Secrets, texts[2],
		s.Status, null(s.Error), null(s.Runtime), null(s.Revision), null(s.Previous), s.Restarts, s.Version, s.Created, s.Updated, texts[3]); err != nil {
		return err
	}
	var n int
	if err := tx.one(countServices, nil, &n); err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("store: %d services: %w", n, ErrLimit)
	}
	return nil
}

// SetService records s in the place of the one with its name, however many
// there are: ErrNotFound if there is none.
func (tx *Tx) SetService(s *Service) error {
	if _, err := tx.Service(s.Name); err != nil {
		return err
	}
	return tx.PutService(s, 1<<30)
}

// Service returns the service of that name: ErrNotFound if there is none.
func (rx *Rx) Service(name string) (*Service, error) {
	var s Service
	if err := rx.one(selectService, []any{name}, s.columns()...); err != nil {
		return nil, fmt.Errorf("store: service: %w", err)
	}
	return &s, nil
}

// Services lists all services by name.
func (rx *Rx) Services() ([]*Service, error) { return rx.services(selectServices) }

// ServicesOf lists a member's services by name.
func (rx *Rx) ServicesOf(memberID string) ([]*Service, error) {
	return rx.services(selectServicesOf, memberID)
}

func (rx *Rx) services(query string, args ...any) (all []*Service, err error) {
	err = rx.each(query, args, func(r row) error {
		s := new(Service)
		all = append(all, s)
		return r.scan(s.columns()...)
	})
	return all, err
}

// DeleteService removes a service: ErrNotFound if there is none.
func (tx *Tx) DeleteService(name string) error { return tx.change("service", deleteService, name) }
