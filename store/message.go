package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

const (
	messageColumns = `seq, id, sender, sender_member, sender_name, target, priority, subtype, reply_to, client_id, digest, receipt, created, expires, recipients, nonce, ciphertext, schedule, due`
	insertMessage  = `INSERT INTO message (` + messageColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectMessage  = `SELECT ` + messageColumns + ` FROM message WHERE seq = ?`
	selectMessages = `SELECT ` + messageColumns + ` FROM message WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`
	// The newest message is never pruned, so that no seq is given out twice.
	selectLastSeq = `SELECT coalesce(max(seq), 0) FROM message`
)

// Priority says when a message may interrupt its recipient.
type Priority int

// The priorities, as they are stored.
const (
	PriorityNow Priority = iota
	PriorityNext
	PriorityLow
)

// Message is a message as it was accepted. Nonce and Ciphertext are opaque.
type Message struct {
	Seq          int64  // given by AddMessage: its place in the order of all messages
	ID           string // given by AddMessage: 32 characters of [0-9A-Za-z]
	Sender       int64  // address; 0 for one that has none, such as a webhook
	SenderMember string
	SenderName   string
	Target       string // as the sender wrote it
	Priority     Priority
	Subtype      string
	ReplyTo      string   // id of another message
	ClientID     string   // the sender's own id: the key of Sent, "" for none
	Digest       [32]byte // SHA-256 of the content, as the caller defines it
	Receipt      int      // what receipts the sender asked for, as the caller defines it
	Recipients   []int64  // given by AddMessage: addresses
	Created      time.Time
	Expires      time.Time
	Nonce        string
	Ciphertext   string
	Schedule     string    // id of the entry that sent it, "" for none
	Due          time.Time // when that was due
	Source       string    // what made it, of an event; kept with its deliveries, and not read
}

// AddMessage stores m with one pending delivery for each of the recipients,
// addresses all different, and sets its Seq, ID and Recipients. A ClientID is
// registered with [Tx.Sent], which must be asked before, in the same write.
func (tx *Tx) AddMessage(m *Message, recipients []int64) error {
	tx.db.seq++
	m.Seq, m.ID, m.Recipients = tx.db.seq, messageID(tx.db.seq), recipients
	_, err := tx.exec(insertMessage, m.Seq, m.ID, m.Sender, null(m.SenderMember), null(m.SenderName), m.Target, m.Priority,
		null(m.Subtype), null(m.ReplyTo), null(m.ClientID), m.Digest[:], m.Receipt, m.Created, m.Expires,
		appendRecipients(nil, recipients), m.Nonce, m.Ciphertext, null(m.Schedule), m.Due)
	if err != nil {
		return err
	}
	if err := tx.addDeliveries(m, recipients); err != nil {
		return err
	}
	if m.ClientID != "" {
		tx.db.sent.add(m.Sender, m.ClientID, m.Seq)
	}
	return nil
}

// Message returns the message whose id is, or begins with, s of at least 8
// characters: ErrNotFound if there is none.
func (rx *Rx) Message(s string) (*Message, error) {
	seq, ok := MessageSeq(s)
	if !ok {
		return nil, fmt.Errorf("store: message %.32q: %w", s, ErrNotFound)
	}
	m, err := rx.messageBySeq(seq)
	if err == nil && !strings.HasPrefix(m.ID, s) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: message %s: %w", s, err)
	}
	return m, nil
}

func (rx *Rx) messageBySeq(seq int64) (*Message, error) {
	m := new(Message)
	found := false
	err := rx.each(selectMessage, []any{seq}, func(r row) error {
		found = true
		return cmp.Or(m.scan(r), errStop)
	})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, ErrNotFound
	}
	return m, nil
}

// MessagesBySeq calls fn with each of the messages in ascending order of seq;
// those that are no longer there are left out. It is meant for pages of up to
// 64. fn may keep the message, but must not call MessagesBySeq.
func (rx *Rx) MessagesBySeq(seqs []int64, fn func(*Message) error) error {
	return rx.each(selectMessages, []any{jsonList(seqs)}, func(r row) error {
		m := new(Message)
		if err := m.scan(r); err != nil {
			return err
		}
		return fn(m)
	})
}

func (m *Message) scan(r row) error {
	var recipients []byte
	err := r.scan(&m.Seq, &m.ID, &m.Sender, &m.SenderMember, &m.SenderName, &m.Target, &m.Priority, &m.Subtype, &m.ReplyTo, &m.ClientID,
		&m.Digest, &m.Receipt, &m.Created, &m.Expires, &recipients, &m.Nonce, &m.Ciphertext, &m.Schedule, &m.Due)
	if err != nil {
		return err
	}
	m.Recipients, err = parseRecipients(recipients)
	return err
}

func appendRecipients(b []byte, recipients []int64) []byte {
	if b == nil {
		b = make([]byte, 0, 2*len(recipients)) // never nil: the column is NOT NULL
	}
	for _, r := range recipients {
		b = binary.AppendUvarint(b, uint64(r))
	}
	return b
}

func parseRecipients(b []byte) ([]int64, error) {
	var all []int64
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("store: recipients of a message: %w", ErrCorrupt)
		}
		all = append(all, int64(v))
		b = b[n:]
	}
	return all, nil
}
