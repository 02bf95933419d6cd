package store

import (
	"fmt"
	"path/filepath"
)

// Look calls fn with what is in the file at path, of which it changes nothing: a
// copy of a mesh, or the file of one that is open elsewhere. It refuses files of
// another version as well as those that Open refuses.
func Look(path string, fn func(*Rx) error) error {
	steps, err := known(migrations)
	if err != nil {
		return err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := check(path, len(steps)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	c, err := dial(dsn(path, lookPragmas))
	if err != nil {
		return fmt.Errorf("store: open %s: %w", path, err)
	}
	defer c.close()
	var version int
	if err := c.one("PRAGMA user_version", nil, &version); err != nil {
		return err
	}
	if version < len(steps) {
		return fmt.Errorf("store: %s has format %d, of an older program: a broker brings it to format %d when it opens it", path, version, len(steps))
	}
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer c.exec("ROLLBACK")
	return fn(&Rx{c})
}
