package store

import (
	"errors"
	"time"
)

const updateExpired = `UPDATE delivery SET state = 3, expired = ? WHERE recipient = ? AND seq = ? AND state < 2`

// Expired is a message whose time ran out.
type Expired struct {
	Message    *Message
	Recipients []ExpiredRecipient
}

// ExpiredRecipient is one recipient who had not seen the message.
type ExpiredRecipient struct {
	Address   int64
	Delivered bool // its process had the message, but never said it was seen
}

// examined is how many messages a step looks at for each it may act on.
const examined = 16

// Expire ends the deliveries, of at most limit messages, that are not done at
// their message's expiry, and returns these messages so that their senders can be
// told. It goes from the oldest message on, remembers in the file how far it
// has come, and stops at the first whose time has not run out; so a message
// with a shorter life than an older one expires with that one. A single call
// looks at no more than 16 messages per limit; call it again while there is more.
func (tx *Tx) Expire(now time.Time, limit int) (all []Expired, more bool, err error) {
	start, err := tx.walk("expire")
	if err != nil {
		return nil, false, err
	}
	old, err := tx.oldMessages(selectOldMessages, start, limit*examined)
	if err != nil {
		return nil, false, err
	}
	position := start
	more = len(old) == limit*examined
	for _, m := range old {
		if len(all) == limit {
			more = true
			break
		}
		if m.expires.After(now) {
			more = false
			break
		}
		recipients, err := tx.expire(m, now)
		if err != nil {
			return nil, false, err
		}
		if len(recipients) > 0 {
			message, err := tx.messageBySeq(m.seq)
			if err != nil {
				return nil, false, err
			}
			all = append(all, Expired{message, recipients})
		}
		position = m.seq
	}
	if position > start {
		_, err = tx.exec(upsertWalk, "expire", position)
	}
	return all, more, err
}

func (tx *Tx) expire(m oldMessage, now time.Time) ([]ExpiredRecipient, error) {
	var all []ExpiredRecipient
	for _, origin := range m.recipients {
		holder, state, err := tx.held(origin, m.seq)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n, err := tx.exec(updateExpired, now, holder, m.seq)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			tx.depth--
			all = append(all, ExpiredRecipient{holder, state == StateDelivered})
		}
	}
	return all, nil
}
