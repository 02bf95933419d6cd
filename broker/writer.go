package broker

import (
	"encoding/binary"
	"math"
	"sync"
)

// writeLoop writes what is queued until nothing is.
func (c *conn) writeLoop() {
	var spare []frame
	for {
		frames, ok := c.out.take(spare)
		if !ok {
			return
		}
		if err := c.write(frames); err != nil {
			c.ws.CloseNow()
			c.out.close(true)
			return
		}
		last := frames[len(frames)-1]
		if last.kind == closing {
			c.ws.Close(last.code, last.reason)
			c.out.close(true)
			return
		}
		c.written(frames)
		if c.starved.Swap(false) {
			c.session.mesh.resume(c.session)
		}
		clear(frames)
		spare = frames
	}
}

// gatherLimit is how many bytes are gathered before they are written anyway.
const gatherLimit = 64 << 10

// writeBuffers are the buffers in which frames are gathered; a connection that
// writes nothing holds none.
var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// write writes frames in as few system calls as may be.
func (c *conn) write(frames []frame) error {
	buf := writeBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= 2*gatherLimit {
			writeBuffers.Put(buf)
		}
	}()
	b := (*buf)[:0]
	for i := range frames {
		if frames[i].kind == closing {
			break
		}
		b = appendText(b, frames[i].data)
		if len(b) < gatherLimit {
			continue
		}
		if _, err := c.socket.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	*buf = b
	if len(b) == 0 {
		return nil
	}
	_, err := c.socket.Write(b)
	return err
}

// appendText appends a WebSocket message of text (RFC 6455, section 5.2), as a
// server sends it: one frame, without a mask. The locks of the library would cost
// a quarter of what the write costs. What it writes itself are control frames, each
// with one call of Write, so that they come between two messages.
func appendText(dst, text []byte) []byte {
	const final, opText = 0x80, 0x1
	dst = append(dst, final|opText)
	switch n := len(text); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, text...)
}

// written tells the mesh which durable frames the socket has taken.
func (c *conn) written(frames []frame) {
	for i := range frames {
		if m := frames[i].mesh; m != nil {
			m.written(c, frames[i:])
			return
		}
	}
}
