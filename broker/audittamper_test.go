package broker

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/store"

	_ "modernc.org/sqlite"
)

// tamperable is a log of a few entries, of which the first were pruned, in
// a file that no broker has open.
func tamperable(t *testing.T) (path string, db *sql.DB) {
	t.Helper()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for i := range 4 {
		p.ask("ack", map[string]any{"type": "set_state", "key": fmt.Sprint("key ", i), "value": i})
	}
	m := b.srv.meshByID(b.mesh)
	if err := m.db.Write(t.Context(), func(tx *store.Tx) error { return m.pruneAudit(tx, 4, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	b.stop()
	path, err := store.MeshFile(b.cfg.Data, b.mesh)
	if err != nil {
		t.Fatal(err)
	}
	db, err = sql.Open("sqlite", "file:"+filepath.ToSlash(path)+"?_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return path, db
}

// A cell of the tables of the log.
type auditCell struct {
	table, column, where string
	id                   int64
}

// change writes v into the cell; old is what was there.
func (c auditCell) change(db *sql.DB, v any) (old any, err error) {
	if err := db.QueryRow("SELECT " + c.column + " FROM " + c.table + " WHERE " + c.where).Scan(&old); err != nil {
		return nil, err
	}
	value := "?"
	if _, isText := v.(string); isText {
		value = "CAST(? AS TEXT)"
	}
	_, err = db.Exec("UPDATE "+c.table+" SET "+c.column+" = "+value+" WHERE "+c.where, v)
	return old, err
}

// Whatever byte of whatever row of the log is altered, the verification says
// which entry is wrong.
func TestEveryAlteredByteIsFound(t *testing.T) {
	t.Parallel()
	path, db := tamperable(t)
	if res, _, _, err := VerifyAuditFile(t.Context(), path, 0); err != nil || !res.Valid || res.Entries != 5 {
		t.Fatalf("the log as it was: %+v, %v", res, err)
	}
	tried := 0
	try := func(c auditCell, v any) {
		t.Helper()
		old, err := c.change(db, v)
		if err != nil {
			return // the table does not take it
		}
		tried++
		at := c.id
		if n, isID := v.(int64); c.table == "audit_base" || isID && c.column == "id" && n <= 4 {
			at = 0 // the signature fits no more, or an entry is before the beginning
		}
		res, _, _, err := VerifyAuditFile(context.Background(), path, 0)
		if err == nil && (res.Valid || res.BrokenAt == nil || at > 0 && *res.BrokenAt != at) {
			t.Errorf("%v: %v → %v: %+v", c, old, v, res)
		}
		if c.column == "id" {
			c.where = fmt.Sprintf("id = %d", v)
		}
		if _, err := c.change(db, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"audit", "audit_base"} {
		for _, c := range cells(t, db, table) {
			var v any
			if err := db.QueryRow("SELECT " + c.column + " FROM " + c.table + " WHERE " + c.where).Scan(&v); err != nil {
				t.Fatal(err)
			}
			for _, altered := range alterations(v) {
				try(c, altered)
			}
		}
	}
	if res, _, _, err := VerifyAuditFile(t.Context(), path, 0); err != nil || !res.Valid {
		t.Fatalf("the log as it was again: %+v, %v", res, err)
	}
	if tried < 1000 {
		t.Errorf("only %d alterations were tried", tried)
	}
}

// cells lists all cells of a table.
func cells(t *testing.T, db *sql.DB, table string) (all []auditCell) {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for rows.Next() {
		v := make([]any, len(columns))
		for i := range v {
			v[i] = new(any)
		}
		if err := rows.Scan(v...); err != nil {
			t.Fatal(err)
		}
		for i, name := range columns {
			if name == "id" {
				ids = append(ids, (*v[i].(*any)).(int64))
			}
		}
	}
	for _, id := range ids {
		for _, column := range columns {
			all = append(all, auditCell{table, column, fmt.Sprintf("id = %d", id), id})
		}
	}
	return all
}

// alterations returns v with each of its bytes altered, and other values near it.
func alterations(v any) (all []any) {
	flip := func(p []byte, as func([]byte) any) {
		for i := range p {
			q := bytes.Clone(p)
			q[i] ^= 1 << rand.IntN(8)
			all = append(all, as(q))
		}
		all = append(all, as(append(bytes.Clone(p), ' ')), as(p[:len(p)-1]))
	}
	switch v := v.(type) {
	case nil:
		return []any{"null", "", "m1"}
	case int64:
		for shift := range 42 {
			all = append(all, v^1<<shift)
		}
		return all
	case string:
		flip([]byte(v), func(p []byte) any { return string(p) })
		return append(all, nil, "", "null", strings.ToUpper(v))
	case []byte:
		flip(v, func(p []byte) any { return p })
	}
	return all
}

// Entries that are taken out, put elsewhere or added do not follow.
func TestMovedEntriesAreFound(t *testing.T) {
	t.Parallel()
	path, db := tamperable(t)
	for _, c := range []struct {
		name, does string
		at         int64
	}{
		{"the first that is kept deleted", "DELETE FROM audit WHERE id = 5", 5},
		{"one deleted", "DELETE FROM audit WHERE id = 7", 7},
		{"one deleted, and those after it renumbered", "DELETE FROM audit WHERE id = 7; UPDATE audit SET id = id - 1 WHERE id > 7", 7},
		{"two exchanged", "UPDATE audit SET id = 1000 WHERE id = 6; UPDATE audit SET id = 6 WHERE id = 7; UPDATE audit SET id = 7 WHERE id = 1000", 6},
		{"one added", "INSERT INTO audit SELECT max(id) + 1, event, actor, payload, created, hash FROM audit", 10},
		{"where the log begins forgotten", "DELETE FROM audit_base", 1},
		{"where the log begins moved on", "DELETE FROM audit WHERE id = 5; UPDATE audit_base SET id = 5, hash = (SELECT hash FROM audit WHERE id = 6)", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			run := func(text string) {
				t.Helper()
				if _, err := conn.ExecContext(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			run("CREATE TEMP TABLE kept AS SELECT * FROM audit; CREATE TEMP TABLE kept_base AS SELECT * FROM audit_base")
			run(c.does)
			res, _, _, err := VerifyAuditFile(t.Context(), path, 0)
			if err != nil || res.Valid || res.BrokenAt == nil || c.at > 0 && *res.BrokenAt != c.at || res.Reason == "" {
				t.Errorf("%+v, %v; want it broken at %d", res, err, c.at)
			}
			run("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DELETE FROM audit_base; INSERT INTO audit_base SELECT * FROM kept_base; DROP TABLE kept; DROP TABLE kept_base")
		})
	}
}

// What is cut off while the broker runs, it finds itself.
func TestACutIsFoundByARunningBroker(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	p.ask("ack", map[string]any{"type": "set_state", "key": "k", "value": 1})
	path := must(store.MeshFile(b.cfg.Data, b.mesh))
	db := must(sql.Open("sqlite", "file:"+filepath.ToSlash(path)+"?_pragma=busy_timeout(5000)"))
	defer db.Close()
	must(db.Exec("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)"))
	res := p.ask("audit_verify_result", map[string]any{"type": "audit_verify"})
	if res["valid"] != false || res["brokenAt"] != float64(5) || res["checkpoint"] != nil {
		t.Errorf("verify says %v", res)
	}
}

// Who may do what with the audit log: the rows of the table in docs/SECURITY.md.
func TestWhoMayReadTheAuditLog(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	for who, p := range map[string]*testPeer{
		"an admin": b.joinAs("admin", "admin").modern("a"), "a member": alice.modern("m"), "an old client": b.join("old").old("o"), "a command": alice.command(false),
	} {
		for _, c := range []struct{ typ, answer string }{
			{"audit_query", "audit_result"}, {"audit_verify", "audit_verify_result"}, {"audit_delete", "error"}, {"audit_append", "error"},
		} {
			if f := p.askAny(map[string]any{"type": c.typ}); f["type"] != c.answer {
				t.Errorf("%s asks %s: %v", who, c.typ, f)
			}
		}
	}
}
