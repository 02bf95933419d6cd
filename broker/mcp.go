package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// listRead is how many bytes of definitions one MCPList reads.
const listRead = 4 << 20

func (m *mesh) mcpRegister(c *call, req wire.MCPRegister) (wire.MCPRegisterAck, error) {
	ack := wire.MCPRegisterAck{ServerName: req.ServerName, ToolCount: len(req.Tools)}
	tools, err := checkServer(&req)
	if err != nil {
		return ack, err
	}
	s := c.session
	if s.hello.Transient {
		return ack, wire.Errorf(wire.Forbidden, "a command cannot host a tool server: it is no session that could be called")
	}
	row := &store.MCPServer{
		Name: req.ServerName, Description: req.Description, MemberID: s.member.id, Host: s.addr, HostName: s.author(),
		Persistent: req.Persistent, Registered: time.Now(), Tools: tools,
	}
	return ack, m.contribute(c, func(tx *store.Tx) error {
		switch _, err := tx.Service(row.Name); {
		case err == nil:
			return wire.Errorf(wire.Forbidden, "the broker runs a service %q: register yours under another name, or have that one undeployed", row.Name)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		old, err := tx.MCPServer(row.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case old.MemberID != s.member.id:
			return wire.Errorf(wire.Forbidden, "the tool server %q is another member's: register yours under another name", old.Name)
		case sameServer(old, row):
			return nil // told again after a lost connection: no news
		}
		err = tx.PutMCPServer(row, wire.MaxServers, wire.MaxOwnServers)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "a member has at most %d tool servers, and a mesh %d: remove one that is not needed any more", wire.MaxOwnServers, wire.MaxServers)
		}
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.tellServer(wire.EventMCPRegistered, row, s) })
		return m.audit(tx, s.actor(), wire.AuditServerRegistered, audited{"server": row.Name, "tools": len(req.Tools), "persistent": row.Persistent})
	})
}

// sameServer reports whether a session registers what it has registered.
func sameServer(old, again *store.MCPServer) bool {
	return old.Host == again.Host && old.HostName == again.HostName && old.Offline.IsZero() && old.Persistent == again.Persistent &&
		old.Description == again.Description && bytes.Equal(old.Tools, again.Tools)
}

// checkServer returns the tools as they are kept.
func checkServer(req *wire.MCPRegister) ([]byte, error) {
	if !wire.ValidServerName(req.ServerName) {
		return nil, wire.Errorf(wire.BadRequest, "serverName must have 1 to 64 letters, digits, hyphens and underscores, the first a letter or digit")
	}
	if err := fits("description", req.Description, wire.MaxServerText); err != nil {
		return nil, err
	}
	if req.Tools == nil {
		return nil, wire.Errorf(wire.BadRequest, "tools is missing: it must be a list of definitions")
	}
	if n := len(req.Tools); n > wire.MaxServerTools {
		return nil, wire.Errorf(wire.TooLarge, "tools has %d entries, and %d are the most: leave some out", n, wire.MaxServerTools)
	}
	seen := make(map[string]bool)
	for _, t := range req.Tools {
		if err := checkName("tool", t.Name, wire.MaxToolName); err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, wire.Errorf(wire.BadRequest, "two tools are called %q", t.Name)
		}
		seen[t.Name] = true
		if len(t.InputSchema) == 0 || t.InputSchema[0] != '{' {
			return nil, wire.Errorf(wire.BadRequest, "inputSchema of the tool %q must be an object", t.Name)
		}
	}
	tools, err := json.Marshal(req.Tools)
	if err == nil && len(tools) > wire.MaxServerBytes {
		err = wire.Errorf(wire.TooLarge, "tools has %d bytes, and %d are the most: shorten the descriptions", len(tools), wire.MaxServerBytes)
	}
	return tools, err
}

func (m *mesh) mcpUnregister(c *call, req wire.MCPUnregister) error {
	return m.contribute(c, func(tx *store.Tx) error {
		row, err := tx.MCPServer(req.ServerName)
		if errors.Is(err, store.ErrNotFound) {
			return wire.Errorf(wire.NotFound, "there is no tool server %q", wire.Shorten(req.ServerName, 64))
		}
		if err != nil {
			return err
		}
		if !m.owns(c.session, row.MemberID) {
			return wire.Errorf(wire.Forbidden, "the tool server %q is another member's: only they and admins may remove it", row.Name)
		}
		if err := tx.DeleteMCPServer(row.Name); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.tellServer(wire.EventMCPUnregistered, row, c.session) })
		return m.audit(tx, c.session.actor(), wire.AuditServerRemoved, audited{"server": row.Name})
	})
}

func (m *mesh) mcpList(_ *call, req wire.MCPList) (wire.MCPListResult, error) {
	res := wire.MCPListResult{Servers: []wire.MCPServer{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		if req.ServerName != "" {
			row, err := rx.MCPServer(req.ServerName)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err == nil {
				res.Servers = append(res.Servers, m.serverInfo(row))
			}
			return err
		}
		size, read := 0, 0
		return rx.EachMCPServer(req.After, func(row *store.MCPServer) bool {
			info := m.serverInfo(row)
			for i := range info.Tools {
				info.Tools[i].InputSchema = nil
			}
			size += jsonSize(info)
			read += len(row.Tools)
			if n := len(res.Servers); n > 0 && (size > pageBytes || read > listRead) {
				res.More = true
				return false
			}
			res.Servers = append(res.Servers, info)
			return true
		})
	})
	return res, err
}

// serverInfo is what others are told of a server.
func (m *mesh) serverInfo(row *store.MCPServer) wire.MCPServer {
	info := wire.MCPServer{Name: row.Name, Description: row.Description, HostedBy: row.HostName, Persistent: row.Persistent}
	json.Unmarshal(row.Tools, &info.Tools) // written by mcpRegister
	m.mu.Lock()
	defer m.mu.Unlock()
	if mb := m.members[row.MemberID]; mb != nil {
		info.MemberPubkey = mb.key
	}
	since := row.Offline
	if host := m.sessions[row.Host]; host != nil && since.IsZero() {
		info.HostedBy, since = host.author(), host.goneAt
		if !host.hidden {
			info.HostPubkey = host.key
		}
		info.Online = host.conn != nil
	}
	if !info.Online && !since.IsZero() {
		at := wire.Time(since)
		info.OfflineSince = &at
	}
	return info
}

// tellServer tells all but from of a server. It runs after the commit.
func (m *mesh) tellServer(event string, row *store.MCPServer, from *session) {
	var tools []wire.MCPTool
	json.Unmarshal(row.Tools, &tools) // written by mcpRegister
	e := wire.MCPEvent{ServerName: row.Name, HostedBy: row.HostName, Tools: make([]string, len(tools))}
	for i, t := range tools {
		e.Tools[i] = t.Name
	}
	if event == wire.EventMCPRegistered {
		e.Description = row.Description
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broadcast(from, event, e)
}

// restoreServers gives a session the servers of its member that nobody hosts.
func (m *mesh) restoreServers(tx *store.Tx, s *session) error {
	all, err := tx.MCPServersOf(s.member.id)
	if err != nil {
		return err
	}
	for _, row := range all {
		if row.Offline.IsZero() {
			continue
		}
		row.Host, row.HostName, row.Offline = s.addr, s.author(), time.Time{}
		if err := tx.PutMCPServer(row, wire.MaxServers, wire.MaxOwnServers); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.tellServer(wire.EventMCPRestored, row, nil) })
	}
	return nil
}

// serversLeft ends the servers of a session whose presence ends; those that are
// persistent wait for the member.
func (m *mesh) serversLeft(tx *store.Tx, s *session) error {
	all, err := tx.MCPServersOfHost(s.addr)
	if err != nil {
		return err
	}
	for _, row := range all {
		if !row.Persistent {
			if err := m.dropServer(tx, row); err != nil {
				return err
			}
			continue
		}
		row.Offline = time.Now()
		if err := tx.PutMCPServer(row, wire.MaxServers, wire.MaxOwnServers); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.tellServer(wire.EventMCPOffline, row, s) })
	}
	return nil
}

// dropServer ends a registration that nobody asked to end.
func (m *mesh) dropServer(tx *store.Tx, row *store.MCPServer) error {
	tx.AfterCommit(func() { m.tellServer(wire.EventMCPUnregistered, row, nil) })
	return tx.DeleteMCPServer(row.Name)
}

// dropServers ends what a member that is revoked has registered.
func (m *mesh) dropServers(tx *store.Tx, memberID string) error {
	all, err := tx.MCPServersOf(memberID)
	for _, row := range all {
		err = errors.Join(err, m.dropServer(tx, row))
	}
	return err
}

// sweepServers ends the registrations that have waited too long for their members.
func (m *mesh) sweepServers(now time.Time) error {
	before := now.Add(-wire.MaxServerAway)
	var late []*store.MCPServer
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		late, err = rx.MCPServersAway(before)
		return err
	})
	if err != nil || len(late) == 0 {
		return err
	}
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		late, err := tx.MCPServersAway(before) // less those that are back
		for _, row := range late {
			err = errors.Join(err, m.dropServer(tx, row))
		}
		return err
	})
}

func mcpInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) error {
	names, err := rx.MCPServerNames()
	res.Services = append(res.Services, names...)
	return err
}
