package bench

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"claudemesh/wire"
)

// A sender sends numbered messages and waits for their acks, with a bounded
// number of them under way.
type sender struct {
	*client
	index   uint32
	env     *envelope
	targets []target // taken by turns
	window  int      // messages without an ack

	// Owned by run.
	seq   uint32  // of the next message
	first uint32  // of this run
	sent  []int64 // when each left
	acks  []time.Duration
	ended time.Duration // when the last ack came
	frame []byte
}

// pauseRefused is how long a sender waits that the broker finds too quick.
const pauseRefused = 20 * time.Millisecond

// run sends until more says no, and waits for the acks.
func (s *sender) run(c *count, more func(done int) bool) error {
	s.acks, s.first = s.acks[:0], s.seq
	started, under := 0, 0
	for {
		for under < s.window && more(started) {
			if err := s.post(c, s.seq); err != nil {
				return err
			}
			s.seq++
			started++
			under++
		}
		if under == 0 {
			return nil
		}
		n, err := s.collect(c)
		if err != nil {
			return err
		}
		under -= n
		if c.settled != nil {
			s.await(c, n)
		}
	}
}

// post gathers the frame of a message, new or refused.
func (s *sender) post(c *count, seq uint32) (err error) {
	to := &s.targets[(int(s.index)+int(seq))%len(s.targets)]
	at := c.now()
	if int(seq) == len(s.sent) {
		s.sent = append(s.sent, int64(at))
		c.expect(to.recipients)
	}
	s.sent[seq] = int64(at)
	s.frame, err = s.env.appendSend(s.frame[:0], s.key, to, note{s.index, seq, int64(at)})
	s.add(s.frame)
	return err
}

// collect writes what was gathered, then takes the answers that are there, at
// least one.
func (s *sender) collect(c *count) (acked int, err error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	for {
		p, err := s.next()
		if err != nil {
			return acked, err
		}
		switch frameType(p) {
		case wire.Ack{}.FrameType():
			if err := s.accepted(c, p); err != nil {
				return acked, err
			}
			acked++
		case (*wire.Error)(nil).FrameType():
			if err := s.refused(c, p); err != nil {
				return acked, err
			}
		}
		if acked > 0 && !s.buffered() {
			return acked, nil
		}
	}
}

func (s *sender) accepted(c *count, p []byte) error {
	seq, err := strconv.ParseUint(string(field(p, `"id"`)), 10, 32)
	if err != nil || int(seq) >= len(s.sent) {
		return fmt.Errorf("the broker acknowledged a message that was not sent: %s", wire.Shorten(string(p), 200))
	}
	s.ended = c.now()
	s.acks = append(s.acks, s.ended-time.Duration(s.sent[seq]))
	c.acked.Add(1)
	return nil
}

// refused repeats a message that the broker had no room or time for.
func (s *sender) refused(c *count, p []byte) error {
	e := new(wire.Error)
	if err := wire.Decode(p, e); err != nil {
		return err
	}
	seq, err := strconv.ParseUint(e.ID, 10, 32)
	if err != nil || int(seq) >= len(s.sent) || (e.Code != wire.RateLimited && e.Code != wire.Unavailable) {
		return fmt.Errorf("the broker refused a message: %w", e)
	}
	c.refused.Add(1)
	time.Sleep(pauseRefused)
	return errors.Join(s.post(c, uint32(seq)), s.flush())
}

// await waits until the recipients of the last n messages have told the broker
// that they have them.
func (s *sender) await(c *count, n int) {
	left := 0
	for i := range n {
		left += s.targets[(int(s.index)+int(s.seq)-1-i)%len(s.targets)].recipients
	}
	for range left {
		select {
		case <-c.settled:
		case <-c.given:
			return
		}
	}
}
