package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// A conn is one connection and the statements prepared on it. It speaks to
// the driver itself: database/sql would add a lock, a context and several
// allocations to each of the few statements that a message costs.
type conn struct {
	raw   driver.Conn
	stmts map[string]*stmt
	args  []driver.NamedValue // reused from one statement to the next
	ran   int                 // statements that may have changed something
	fatal error               // what may have ended the transaction behind our back
}

// A stmt is a prepared statement. It can run once at a time.
type stmt struct {
	driver.Stmt
	open bool // its rows are being read
}

func dial(dsn string) (*conn, error) {
	d := new(sqlite.Driver)
	if err := d.RegisterDeterministicScalarFunction("fold", 1, foldValue); err != nil {
		return nil, err
	}
	c, err := d.Open(dsn)
	if err != nil {
		return nil, classify(err)
	}
	return &conn{raw: c, stmts: make(map[string]*stmt)}, nil
}

// foldValue is fold as a function of SQL.
func foldValue(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	text, ok := args[0].(string)
	if !ok {
		return args[0], nil
	}
	return fold(text), nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

func (c *conn) prepare(query string) (*stmt, error) {
	if s, ok := c.stmts[query]; ok {
		if s.open {
			return nil, fmt.Errorf("store: %.60q is run while its own rows are read", query)
		}
		return s, nil
	}
	prepared, err := c.raw.Prepare(query)
	if err != nil {
		return nil, c.failed(query, err)
	}
	s := &stmt{Stmt: prepared}
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
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	if err != nil {
		return classify(err)
	}
	return nil
}

// exec runs a statement and tells how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	res, err := c.run(query, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert runs a statement and returns the id of the row it made.
func (c *conn) insert(query string, args ...any) (int64, error) {
	res, err := c.run(query, args)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

func (c *conn) run(query string, args []any) (driver.Result, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	c.ran++
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return nil, c.failed(query, err)
	}
	return res, nil
}

// change is exec for a statement that must hit a row: ErrNotFound if it hit none.
func (c *conn) change(what, query string, args ...any) error {
	n, err := c.exec(query, args...)
	if err == nil && n == 0 {
		err = fmt.Errorf("store: %s: %w", what, ErrNotFound)
	}
	return err
}

// errStop ends each early and without an error.
var errStop = errors.New("stop")

// each calls fn for each row of the result, which must not be kept, until it
// returns an error.
func (c *conn) each(query string, args []any, fn func(row) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return c.failed(query, err)
	}
	s.open = true
	defer func() {
		s.open = false
		rows.Close() // resets the statement; it has nothing to say that Next has not said
	}()
	r := make(row, len(rows.Columns()))
	for {
		switch err := rows.Next(r); {
		case err == io.EOF:
			return nil
		case err != nil:
			return c.failed(query, err)
		}
		switch err := fn(r); {
		case err == errStop:
			return nil
		case err != nil:
			return err
		}
	}
}

// one scans the first row of the result into dest: ErrNotFound if there is none.
func (c *conn) one(query string, args []any, dest ...any) error {
	found := false
	err := c.each(query, args, func(r row) error {
		found = true
		return cmp.Or(r.scan(dest...), errStop)
	})
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}
