package store

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// benchClients is how many senders wait for their acks at the same time.
const benchClients = 64

func benchMessage() *Message {
	return &Message{
		Sender: 1, SenderMember: strings.Repeat("m", 32), SenderName: "alice", Target: strings.Repeat("ab", 32),
		Priority: PriorityNext, Nonce: strings.Repeat("n", 32), Ciphertext: strings.Repeat("c", 500),
		Created: epoch, Expires: epoch.Add(time.Hour),
	}
}

// BenchmarkAccept is a send as the broker does it: a look for a repetition, a
// message, one delivery, one fsync shared by those who wait.
func BenchmarkAccept(b *testing.B) {
	db := open(b)
	b.SetParallelism(benchClients / 2)
	b.RunParallel(func(pb *testing.PB) {
		m := benchMessage()
		for pb.Next() {
			m.ClientID = NewID()
			err := db.Write(b.Context(), func(tx *Tx) error {
				if _, sent, err := tx.Sent(m.Sender, m.ClientID); sent || err != nil {
					return err
				}
				return tx.AddMessage(m, []int64{2})
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
}

// BenchmarkAcceptBusy is the same with senders who do not wait for one ack
// before they send the next.
func BenchmarkAcceptBusy(b *testing.B) {
	db := open(b)
	acks := make(chan error, maxQueue)
	go func() {
		for range b.N {
			m := benchMessage()
			m.ClientID = NewID()
			err := db.Enqueue(b.Context(), func(tx *Tx) error {
				if _, sent, err := tx.Sent(m.Sender, m.ClientID); sent || err != nil {
					return err
				}
				return tx.AddMessage(m, []int64{2})
			}, func(err error) { acks <- err })
			if err != nil {
				b.Error(err)
			}
		}
	}()
	for range b.N {
		if err := <-acks; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
}

// BenchmarkBareGroupCommit inserts the same bytes into one bare table.
func BenchmarkBareGroupCommit(b *testing.B) {
	db := open(b)
	mustWrite(b, db, func(tx *Tx) error {
		_, err := tx.exec("CREATE TABLE bare (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
		return err
	})
	body := make([]byte, 800)
	b.SetParallelism(benchClients / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := db.Write(b.Context(), func(tx *Tx) error {
				_, err := tx.exec("INSERT INTO bare (body) VALUES (?)", body)
				return err
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
}

// BenchmarkAcceptAlone is one sender who waits for each ack.
func BenchmarkAcceptAlone(b *testing.B) {
	db := open(b)
	m := benchMessage()
	for b.Loop() {
		mustWrite(b, db, func(tx *Tx) error { return tx.AddMessage(m, []int64{2}) })
	}
}

// BenchmarkAcceptFanOut is a message to a thousand recipients who all get it.
func BenchmarkAcceptFanOut(b *testing.B) {
	db := open(b)
	m := benchMessage()
	recipients := make([]int64, 1000)
	for i := range recipients {
		recipients[i] = int64(i + 1)
	}
	for b.Loop() {
		mustWrite(b, db, func(tx *Tx) error { return tx.AddMessage(m, recipients) })
		mustWrite(b, db, func(tx *Tx) error {
			for _, r := range recipients {
				if _, err := tx.MarkDelivered(r, []int64{m.Seq}, time.Now(), time.Now(), true); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// BenchmarkFdatasync overwrites 8 KiB and waits for the disk.
func BenchmarkFdatasync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 8192)
	if _, err := f.Write(block); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.WriteAt(block, 0); err != nil {
			b.Fatal(err)
		}
		if err := datasync(f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPage reads 64 bodies, as the broker does for a session that catches up.
func BenchmarkPage(b *testing.B) {
	db := open(b)
	var seqs []int64
	for range 64 {
		m := benchMessage()
		mustWrite(b, db, func(tx *Tx) error { return tx.AddMessage(m, []int64{2}) })
		seqs = append(seqs, m.Seq)
	}
	for b.Loop() {
		mustRead(b, db, func(rx *Rx) error { return rx.MessagesBySeq(seqs, func(*Message) error { return nil }) })
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		db, err := Open(b.Context(), filepath.Join(b.TempDir(), "mesh.db"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

// BenchmarkLife is what a broker does for messages between many: 64 senders,
// each to a recipient of its own, whose process confirms and then has seen it.
func BenchmarkLife(b *testing.B) {
	db := open(b)
	var next atomic.Int64
	b.SetParallelism(benchClients / 2)
	b.RunParallel(func(pb *testing.PB) {
		me := 100 + next.Add(1)
		m := benchMessage()
		done := make(chan error, 2)
		for pb.Next() {
			mustWrite(b, db, func(tx *Tx) error { return tx.AddMessage(m, []int64{me}) })
			seq := m.Seq
			for _, fn := range []func(tx *Tx) error{
				func(tx *Tx) error {
					_, err := tx.MarkDelivered(me, []int64{seq}, time.Now(), time.Now(), false)
					return err
				},
				func(tx *Tx) error { _, err := tx.MarkSeen(me, []int64{seq}, time.Now()); return err },
			} {
				if err := db.Enqueue(b.Context(), fn, func(err error) { done <- err }); err != nil {
					b.Error(err)
				}
			}
			<-done
			<-done
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
