package broker

import (
	"context"
	"errors"

	"claudemesh/store"
	"claudemesh/wire"
)

// A call is one request on one connection.
type call struct {
	*conn
	head wire.Head
}

// A route says how one type of request is served.
type route struct {
	typ   wire.Type
	quiet bool // answered only where the request has a _reqId
	serve func(m *mesh, c *call, p []byte, quiet bool) error
}

// handle makes a route of h. The wire package says what Resp a Req has; a
// handler that answers with another type does not compile.
func handle[Req wire.Request[Resp], Resp wire.Frame](h func(*mesh, *call, Req) (Resp, error)) route {
	var zero Req
	return route{typ: zero.FrameType(), serve: func(m *mesh, c *call, p []byte, quiet bool) error {
		var req Req
		if err := wire.Decode(p, &req); err != nil {
			return err
		}
		res, err := h(m, c, req)
		if err != nil {
			return err
		}
		if !quiet || c.head.ReqID != "" {
			c.reply(c.head.ReqID, res)
		}
		return nil
	}}
}

// order makes a route of h, whose success is all there is to say: an Ack
// where the request has a _reqId, else nothing, as older peers expect.
func order[Req wire.Request[wire.Ack]](h func(*mesh, *call, Req) error) route {
	r := handle(func(m *mesh, c *call, req Req) (wire.Ack, error) {
		return wire.Ack{ID: c.head.ReqID}, h(m, c, req)
	})
	r.quiet = true
	return r
}

// later makes a route of h, which answers by itself after the reader has gone on.
func later[Req wire.Request[Resp], Resp wire.Frame](h func(*mesh, *call, Req) error) route {
	var zero Req
	return route{typ: zero.FrameType(), serve: func(m *mesh, c *call, p []byte, _ bool) error {
		var req Req
		if err := wire.Decode(p, &req); err != nil {
			return err
		}
		return h(m, c, req)
	}}
}

// stored makes a route of h, which checks the request and returns the write
// that serves it. That calls answer from an AfterCommit hook, so that the answer
// has its place in the order of the commits; a failed write is answered here.
func stored[Req wire.Request[Resp], Resp wire.Frame](h func(m *mesh, c *call, req Req, answer func(Resp)) (func(*store.Tx) error, error)) route {
	var zero Req
	return route{typ: zero.FrameType(), serve: func(m *mesh, c *call, p []byte, _ bool) error {
		var req Req
		if err := wire.Decode(p, &req); err != nil {
			return err
		}
		write, err := h(m, c, req, func(res Resp) { c.reply(c.head.ReqID, res) })
		if err != nil {
			return err
		}
		return m.db.Write(context.Background(), write)
	}}
}

// tableOf indexes routes; two for one type are a mistake in the program.
func tableOf(routes []route) map[wire.Type]route {
	table := make(map[wire.Type]route, len(routes))
	for _, r := range routes {
		if _, dup := table[r.typ]; dup {
			panic("broker: two routes for " + r.typ)
		}
		table[r.typ] = r
	}
	return table
}

// dispatch serves one request of an authenticated connection.
func (c *conn) dispatch(h wire.Head, p []byte) {
	r, ok := c.srv.routes[h.Type]
	if h.Type == (wire.Hello{}).FrameType() {
		c.fail(h, p, c.srv.report(h, wire.Errorf(wire.BadRequest, "this connection has said hello: open another for another session")))
		return
	}
	if !ok {
		c.srv.metrics.rejectedFrame(wire.UnknownType)
		c.fail(h, p, wire.Errorf(wire.UnknownType, "there is no frame %q", wire.Shorten(string(h.Type), 40)))
		return
	}
	if err := r.serve(c.mesh, &call{c, h}, p, r.quiet); err != nil {
		c.fail(h, p, c.srv.report(h, err))
	}
}

// report turns any error into one that may leave the broker, and logs what
// its reader cannot mend.
func (srv *Server) report(h wire.Head, err error) *wire.Error {
	e := asError(err)
	if e.Code == wire.Internal || e.Code == wire.Unavailable {
		srv.log.Error("request failed", "type", h.Type, "err", err)
	}
	srv.metrics.rejectedFrame(e.Code)
	return e
}

// asError maps an error to its one code on the wire.
func asError(err error) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return wire.Errorf(wire.Unavailable, "the broker cannot store anything now, its disk may be full; nothing was kept: try again later")
	case errors.Is(err, store.ErrClosed):
		return wire.Errorf(wire.Unavailable, "the broker is shutting down; nothing was kept: try again when it is back")
	case errors.Is(err, store.ErrNotFound):
		return wire.Errorf(wire.NotFound, "not found")
	case errors.Is(err, store.ErrConflict):
		return wire.Errorf(wire.Conflict, "it exists already")
	case errors.Is(err, store.ErrLimit):
		return wire.Errorf(wire.Limit, "a limit is reached")
	}
	return wire.Errorf(wire.Internal, "the broker failed; its log says why")
}
