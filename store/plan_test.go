package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayScan names the statements that may walk a table from end to end, each
// with its reason.
var mayScan = map[string]string{
	"selectMembers":         "lists all members",
	"selectInvites":         "lists all invites",
	"selectLastSeq":         "min/max of the rowid is one step",
	"selectDepth":           "once, at Open, over the addresses",
	"selectSent":            "once, at Open, newest first with a limit",
	"selectMesh":            "one row",
	"selectGoneSessions":    "periodic, over the saved sessions, which are swept",
	"updateMessageTTL":      "one row",
	"deleteInvites":         "a thousand rows at most, once an hour",
	"updateArchived":        "one row",
	"selectTasks":           "ten thousand rows at most, and seldom more than the newest hundred",
	"selectTaskNames":       "ten thousand rows at most, when somebody names one of them",
	"selectLastTask":        "min/max of the rowid is one step",
	"countTasks":            "over the index of the status",
	"countReservations":     "a thousand rows at most",
	"updateSelfEditable":    "one row",
	"selectStateEntries":    "lists the whole state, which is bounded in bytes",
	"selectStateKeys":       "the same",
	"selectMemoryLast":      "one step, from the newest",
	"selectMemoryBest":      "sorts at most 500 weights",
	"selectMemoryNewest":    "for a tag or name without letters and digits, which the full text cannot find",
	"selectContexts":        "one of each member",
	"selectContextFound":    "one of each member",
	"selectStreams":         "lists all streams, a thousand at most",
	"countStreams":          "a thousand at most",
	"countSkills":           "a thousand at most",
	"countWatches":          "a thousand at most",
	"selectWatches":         "once, at Open",
	"countWebhooks":         "a hundred at most",
	"selectWebhooks":        "the same",
	"countMCPs":             "a hundred at most",
	"selectMCPNames":        "the same, over an index",
	"selectOldEvents":       "over the index of open events, from the oldest on, and its reader stops",
	"deleteScheduleRequest": "a thousand of each member at most, once an hour",
	"selectFiles":           "newest first by an index, and its reader stops",
	"selectAuditEvents":     "a bounded log, which has no index because it is written with each message",
	"countAuditEvents":      "the same",
	"selectAuditFirst":      "min/max of the rowid is one step",
	"selectAuditHead":       "min/max of the rowid is one step",
	"selectAuditBase":       "one row",
	"selectFileSizes":       "ids and sizes of ten thousand at most, at Open and once an hour",
}

var scans = regexp.MustCompile(`^SCAN (message|delivery|moved|address|session|member|invite|notice|walk|mesh|state|memory|context|tally|stream|stream_entry|subscription|skill|file|file_key|file_access|task|reservation|schedule|schedule_request|webhook|watch|audit|audit_base|mcp_server|missed|a|d|m|n|o|s)\b`)

// Every statement of the package is prepared, and its plan must go by a key.
func TestNoStatementScansATable(t *testing.T) {
	queries := statements(t)
	if len(queries) < 50 {
		t.Fatal("found only", len(queries), "statements")
	}
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		for _, name := range slices.Sorted(maps.Keys(queries)) {
			if mayScan[name] != "" {
				continue
			}
			query := queries[name]
			args := make([]any, parameters(query))
			err := tx.each("EXPLAIN QUERY PLAN "+query, args, func(r row) error {
				detail, _ := r[3].(string)
				if scans.MatchString(detail) {
					t.Errorf("%s: %s\n\t%s", name, detail, query)
				}
				if strings.Contains(detail, "TEMP B-TREE") {
					t.Errorf("%s sorts: %s\n\t%s", name, detail, query)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
}

// parameters counts the parameters of a query, of the form ? or ?1.
func parameters(query string) int {
	numbered := regexp.MustCompile(`\?[1-9]`).FindAllString(query, -1)
	if len(numbered) == 0 {
		return strings.Count(query, "?")
	}
	return int(slices.Max(numbered)[1] - '0')
}

// statements returns the constants of the package that hold SQL.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]ast.Expr)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				if v := spec.(*ast.ValueSpec); len(v.Values) == 1 {
					texts[v.Names[0].Name] = v.Values[0]
				}
			}
		}
	}
	queries := make(map[string]string)
	for name := range texts {
		if q := text(texts, texts[name]); regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE) `).MatchString(q) {
			queries[name] = q
		}
	}
	return queries
}

// text evaluates a constant made of strings.
func text(texts map[string]ast.Expr, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strings.Trim(e.Value, "`\"")
	case *ast.BinaryExpr:
		return text(texts, e.X) + text(texts, e.Y)
	case *ast.Ident:
		return text(texts, texts[e.Name])
	}
	return ""
}
