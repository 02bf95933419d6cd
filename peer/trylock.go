package peer

import (
	"fmt"
	"os"
)

// TryLock takes the exclusive lock of the file at path, which it makes with
// mode 0600, without waiting. A nil release means that another process has it.
// The lock ends with this process, too; the file stays.
func TryLock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	got, err := tryLock(f)
	switch {
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !got:
		f.Close()
		return nil, nil
	}
	return func() { f.Close() }, nil
}
