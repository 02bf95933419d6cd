package broker

import (
	"context"
	"errors"

	"github.com/coder/websocket"
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

// write writes frames in as few system calls as may be.
func (c *conn) write(frames []frame) error {
	c.socket.cork()
	for _, f := range frames {
		if f.kind == closing {
			break
		}
		if err := c.ws.Write(context.Background(), websocket.MessageText, f.data); err != nil {
			return errors.Join(err, c.socket.uncork())
		}
	}
	return c.socket.uncork()
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
