package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"modernc.org/sqlite"
)

// A conn is one connection and the statements prepared on it. It speaks to
// the driver itself: database/sql would add a lock, a context and several
// allocations to each of the few statements that a message costs.
type conn struct {
	driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // reused from one statement to the next
	fatal error               // what may have ended the transaction behind our back
}

func dial(dsn string) (*conn, error) {
	c, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, classify(err)
	}
	return &conn{Conn: c, stmts: make(map[string]driver.Stmt)}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.Conn.Prepare(query)
	if err != nil {
		return nil, c.failed(query, err)
	}
	c.stmts[query] = s
	return s, nil
}

// failed names the statement in err, and remembers an error after which
// SQLite may have rolled back the transaction by itself.
func (c *conn) failed(query string, err error) error {
	err = fmt.Errorf("store: %.60q: %w", query, classify(err))
	if c.fatal == nil && (errors.Is(err, ErrUnavailable) || errors.Is(err, ErrCorrupt)) {
		c.fatal = err
	}
	return err
}

// script runs any number of statements, once.
func (c *conn) script(text string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	if err != nil {
		return classify(err)
	}
	return nil
}

// exec runs a statement and tells how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, c.failed(query, err)
	}
	return res.RowsAffected()
}

// insert runs a statement and returns the id of the row it made.
func (c *conn) insert(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, c.failed(query, err)
	}
	return res.LastInsertId()
}

// change is exec for a statement that must hit a row: ErrNotFound if it hit none.
func (c *conn) change(what, query string, args ...any) error {
	n, err := c.exec(query, args...)
	if err == nil && n == 0 {
		err = fmt.Errorf("store: %s: %w", what, ErrNotFound)
	}
	return err
}

// each calls fn for each row of the result, which must not be kept.
func (c *conn) each(query string, args []any, fn func(row) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return c.failed(query, err)
	}
	defer rows.Close()
	r := make(row, len(rows.Columns()))
	for {
		switch err := rows.Next(r); {
		case err == io.EOF:
			return nil
		case err != nil:
			return c.failed(query, err)
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

var errStop = errors.New("stop") // ends each early

// one scans the first row of the result into dest: ErrNotFound if there is none.
func (c *conn) one(query string, args []any, dest ...any) error {
	err := c.each(query, args, func(r row) error {
		if err := r.scan(dest...); err != nil {
			return err
		}
		return errStop
	})
	switch err {
	case errStop:
		return nil
	case nil:
		return ErrNotFound
	}
	return err
}

// bind turns Go values into those the driver takes. "" and the zero Time stay
// what they are for text columns; use null for those that may be NULL.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		var v driver.Value
		switch a := a.(type) {
		case int:
			v = int64(a)
		case Priority:
			v = int64(a)
		case State:
			v = int64(a)
		case bool:
			v = int64(0)
			if a {
				v = int64(1)
			}
		case time.Time:
			if !a.IsZero() {
				v = a.UnixMilli()
			}
		default:
			v = a
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// null is s, or NULL for "".
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// A row holds the values of one row of a result.
type row []driver.Value

// scan copies the values into the variables that dest points at. NULL makes a
// variable zero.
func (r row) scan(dest ...any) error {
	if len(r) != len(dest) {
		return fmt.Errorf("store: %d columns for %d variables", len(r), len(dest))
	}
	for i, d := range dest {
		if !assign(d, r[i]) {
			return fmt.Errorf("store: column %d holds a %T where a %T is wanted", i, r[i], d)
		}
	}
	return nil
}

func assign(dest any, v driver.Value) bool {
	n, isInt := v.(int64)
	s, isText := v.(string)
	isNull := v == nil
	switch d := dest.(type) {
	case *int64:
		*d = n
		return isInt || isNull
	case *int:
		*d = int(n)
		return isInt || isNull
	case *Priority:
		*d = Priority(n)
		return isInt
	case *State:
		*d = State(n)
		return isInt
	case *bool:
		*d = n != 0
		return isInt || isNull
	case *time.Time:
		*d = time.Time{}
		if isInt {
			*d = time.UnixMilli(n).UTC()
		}
		return isInt || isNull
	case *string:
		*d = s
		return isText || isNull
	case *[]byte:
		b, isBlob := v.([]byte)
		*d = b
		return isBlob || isNull
	case *[32]byte:
		b, isBlob := v.([]byte)
		return isBlob && copy(d[:], b) == len(d)
	case fromJSON:
		return isNull || isText && json.Unmarshal([]byte(s), d.into) == nil
	}
	return false
}

// fromJSON has a text column decoded into what into points at.
type fromJSON struct{ into any }

// toJSON is v as the text of a column.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return string(b), nil
}
