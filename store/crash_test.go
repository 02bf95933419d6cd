package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// crashEnv names the file that a child of TestKill9 writes to.
const crashEnv = "STORE_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		if err := writeForEver(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForEver stores messages until it is killed and prints the seq and the
// id of each once it is acknowledged.
func writeForEver(path string) error {
	ctx, out := context.Background(), os.Stdout
	lock, err := LockDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer lock.Unlock()
	db, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	for {
		m := message()
		m.Ciphertext = strings.Repeat("x", int(db.QueueDepth()*37%3000))
		err := db.Enqueue(ctx, func(tx *Tx) error { return tx.AddMessage(m, []int64{1, 2}) }, func(err error) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Fprintln(out, m.Seq, m.ID)
		})
		if err != nil {
			return err
		}
	}
}

// Whatever was acknowledged before a kill -9 is there after it, whole, and the
// lock of the directory is gone with its holder.
func TestKill9(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	acked := make(map[int64]string)
	for round := range 5 {
		for seq, id := range killAfter(t, path, 150+round*211) {
			if acked[seq] != "" {
				t.Fatalf("seq %d was given out twice", seq)
			}
			acked[seq] = id
		}
		lock, err := LockDir(filepath.Dir(path))
		if err != nil {
			t.Fatal("the lock outlived its process:", err)
		}
		db := openAt(t, path)
		mustRead(t, db, func(rx *Rx) error {
			var verdict string
			if err := rx.one("PRAGMA integrity_check", nil, &verdict); err != nil || verdict != "ok" {
				t.Fatal("integrity:", verdict, err)
			}
			for seq, id := range acked {
				m, err := rx.Message(id)
				if err != nil || m.Seq != seq || len(m.Recipients) != 2 {
					t.Fatal("acknowledged and not there:", seq, m, err)
				}
			}
			for _, recipient := range []int64{1, 2} {
				var n int
				if err := rx.one("SELECT count(*) FROM delivery WHERE recipient = ?", []any{recipient}, &n); err != nil || n < len(acked) {
					t.Fatal("deliveries:", n, "of", len(acked), err)
				}
			}
			return nil
		})
		if err := errors.Join(db.Close(), lock.Unlock()); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter kills a child when it has acknowledged n messages, and returns
// all that it acknowledged.
func killAfter(t *testing.T, path string, n int) map[int64]string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+path)
	child.Stderr = os.Stderr
	child.WaitDelay = time.Minute
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := make(map[int64]string)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line without its end was not said
		}
		seq, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseInt(seq, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		acked[number] = id
		if len(acked) == n {
			_, err := LockDir(filepath.Dir(path))
			if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), strconv.Itoa(child.Process.Pid)) {
				t.Error("locked twice:", err)
			}
			child.Process.Kill()
		}
	}
	child.Wait() // killed: the error says so
	if len(acked) < n {
		t.Fatalf("the child ended by itself after %d messages", len(acked))
	}
	return acked
}
