package store

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	mcpColumns = `name, description, member, host, host_name, persistent, registered, offline`
	upsertMCP  = `INSERT INTO mcp_server (` + mcpColumns + `, tools) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, member = excluded.member, host = excluded.host,
			host_name = excluded.host_name, persistent = excluded.persistent, registered = excluded.registered,
			offline = excluded.offline, tools = excluded.tools`
	selectMCP        = `SELECT ` + mcpColumns + `, tools FROM mcp_server WHERE name = ?`
	selectMCPHost    = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE name = ?`
	selectMCPs       = `SELECT ` + mcpColumns + `, tools FROM mcp_server WHERE name > ? ORDER BY name`
	selectMCPNames   = `SELECT name FROM mcp_server ORDER BY name`
	selectMCPsOfHost = `SELECT ` + mcpColumns + `, tools FROM mcp_server WHERE host = ? AND offline IS NULL`
	selectMCPsOf     = `SELECT ` + mcpColumns + `, tools FROM mcp_server WHERE member = ?`
	selectMCPsAway   = `SELECT ` + mcpColumns + `, tools FROM mcp_server WHERE offline <= ?`
	countMCPs        = `SELECT count(*) FROM mcp_server`
	countMCPsOf      = `SELECT count(*) FROM mcp_server WHERE member = ?`
	deleteMCP        = `DELETE FROM mcp_server WHERE name = ?`
)

// MCPServer is the record of an MCP server that a session hosts.
type MCPServer struct {
	Name        string
	Description string
	MemberID    string
	Host        int64  // address of the session that hosts it, or did last
	HostName    string // of that session
	Persistent  bool
	Registered  time.Time
	Offline     time.Time       // since when no session hosts it; zero while one does
	Tools       json.RawMessage // a list of definitions
}

func (s *MCPServer) columns() []any {
	return []any{&s.Name, &s.Description, &s.MemberID, &s.Host, &s.HostName, &s.Persistent, &s.Registered, &s.Offline}
}

// PutMCPServer records s in the place of the one with its name. ErrLimit if
// there are then more than limit, or more than own of its member.
func (tx *Tx) PutMCPServer(s *MCPServer, limit, own int) error {
	tools, err := rawText(s.Tools)
	if err != nil {
		return err
	}
	if _, err := tx.exec(upsertMCP, s.Name, s.Description, s.MemberID, s.Host, s.HostName, s.Persistent, s.Registered, s.Offline, tools); err != nil {
		return err
	}
	var all, mine int
	if err := tx.one(countMCPs, nil, &all); err != nil {
		return err
	}
	if err := tx.one(countMCPsOf, []any{s.MemberID}, &mine); err != nil {
		return err
	}
	if all > limit || mine > own {
		return fmt.Errorf("store: %d MCP servers, %d of the member: %w", all, mine, ErrLimit)
	}
	return nil
}

// MCPServer returns the server of that name: ErrNotFound if there is none.
func (rx *Rx) MCPServer(name string) (*MCPServer, error) {
	var s MCPServer
	if err := rx.one(selectMCP, []any{name}, append(s.columns(), fromJSON{&s.Tools})...); err != nil {
		return nil, fmt.Errorf("store: MCP server: %w", err)
	}
	return &s, nil
}

// MCPHost is MCPServer without the tools.
func (rx *Rx) MCPHost(name string) (*MCPServer, error) {
	var s MCPServer
	if err := rx.one(selectMCPHost, []any{name}, s.columns()...); err != nil {
		return nil, fmt.Errorf("store: MCP server: %w", err)
	}
	return &s, nil
}

// EachMCPServer calls fn for the servers with a name after that one, ascending,
// until it returns false.
func (rx *Rx) EachMCPServer(after string, fn func(*MCPServer) bool) error {
	return rx.each(selectMCPs, []any{after}, func(r row) error {
		var s MCPServer
		if err := r.scan(append(s.columns(), fromJSON{&s.Tools})...); err != nil {
			return err
		}
		if !fn(&s) {
			return errStop
		}
		return nil
	})
}

// MCPServerNames lists the names, ascending.
func (rx *Rx) MCPServerNames() (names []string, err error) {
	err = rx.each(selectMCPNames, nil, func(r row) error {
		var name string
		err := r.scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// MCPServersOfHost lists the servers that the session with that address hosts.
func (rx *Rx) MCPServersOfHost(address int64) ([]*MCPServer, error) {
	return rx.mcpServers(selectMCPsOfHost, address)
}

// MCPServersOf lists a member's servers.
func (rx *Rx) MCPServersOf(memberID string) ([]*MCPServer, error) {
	return rx.mcpServers(selectMCPsOf, memberID)
}

// MCPServersAway lists the servers that nobody hosts since that time or longer.
func (rx *Rx) MCPServersAway(since time.Time) ([]*MCPServer, error) {
	return rx.mcpServers(selectMCPsAway, since)
}

func (rx *Rx) mcpServers(query string, arg any) (all []*MCPServer, err error) {
	err = rx.each(query, []any{arg}, func(r row) error {
		s := new(MCPServer)
		all = append(all, s)
		return r.scan(append(s.columns(), fromJSON{&s.Tools})...)
	})
	return all, err
}

// DeleteMCPServer removes a server: ErrNotFound if there is none.
func (tx *Tx) DeleteMCPServer(name string) error { return tx.change("MCP server", deleteMCP, name) }
