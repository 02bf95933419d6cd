package broker

import (
	"context"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	maxTick  = 5 * time.Second  // between two looks while anybody is here
	idleTick = 10 * time.Minute // while nobody is
	sweepAt  = time.Minute      // between two sweeps of the store while anybody is here
	batch    = 100              // messages a sweep handles in one transaction
)

// runClock does what is due: pings, leases, graces, statuses, expiry, and the
// alarms; and it gives back memory. With nobody connected it sleeps until the
// next alarm.
func (srv *Server) runClock(ctx context.Context) {
	tick := min(maxTick, max(10*time.Millisecond, min(srv.cfg.Grace, srv.cfg.Lease, srv.cfg.StatusTTL)/4))
	timer, alarm := time.NewTimer(0), time.NewTimer(0)
	defer timer.Stop()
	defer alarm.Stop()
	var swept time.Time
	var memory footprint
	for {
		select {
		case <-ctx.Done():
			return
		case <-srv.wake:
		case <-timer.C:
		case <-srv.alarms.moved:
			srv.ringAlarms(alarm)
			continue
		case <-alarm.C:
			srv.ringAlarms(alarm)
			continue
		}
		now := time.Now()
		srv.pingAll(now)
		busy := false
		for _, m := range srv.all() {
			busy = m.tick(now) || busy
		}
		if now.Sub(swept) >= sweepAt {
			swept = now
			for _, m := range srv.all() {
				m.startSweep(now)
			}
		}
		memory.tend(now)
		next := idleTick
		if busy || srv.connections() > 0 {
			next = tick
		}
		timer.Reset(next)
	}
}

// ringAlarms rings what is due, and sets timer for when it is to be called again.
func (srv *Server) ringAlarms(timer *time.Timer) {
	timer.Stop()
	if sleep, ok := srv.alarms.ring(time.Now()); ok {
		timer.Reset(sleep)
	}
}

// wakeClock has the clock look soon, when there may be something new to watch.
func (srv *Server) wakeClock() {
	select {
	case srv.wake <- struct{}{}:
	default:
	}
}

func (srv *Server) connections() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.open)
}

// pingAll pings who has been silent for a while, and ends who has been silent
// for too long.
func (srv *Server) pingAll(now time.Time) {
	for _, c := range srv.connected() {
		switch silent := now.Sub(time.Unix(0, c.alive.Load())); {
		case silent >= wire.DeadAfter:
			c.dead()
		case silent >= wire.PingEvery && now.Sub(c.pinged) >= wire.PingEvery:
			c.pinged = now
			srv.conns.Go(c.ping)
		}
	}
}

// ping sends a ping. The answer shows as a sign of life.
func (c *conn) ping() {
	ctx, cancel := context.WithTimeout(context.Background(), wire.DeadAfter-wire.PingEvery)
	defer cancel()
	if c.ws.Ping(ctx) == nil {
		c.alive.Store(time.Now().UnixNano())
	}
}

// dead ends a connection that answers nothing. There is nobody to say why to.
func (c *conn) dead() {
	c.srv.conns.Go(func() { c.ws.CloseNow() })
}

// tick looks after the sessions. It reports whether there are any.
func (m *mesh) tick(now time.Time) (busy bool) {
	cfg := m.srv.cfg
	m.mu.Lock()
	var over []*session
	lapsed := make(map[*mailbox][]int64)
	for _, s := range m.sessions {
		if s.conn == nil && now.Sub(s.goneAt) >= cfg.Grace {
			over = append(over, s)
		}
		if s.status.lapse(now, cfg.StatusTTL) {
			m.release(s)
		}
		m.lapse(s, now, lapsed)
	}
	for s := range m.transients {
		m.lapse(s, now, lapsed)
	}
	busy = len(m.sessions)+len(m.transients) > 0
	m.mu.Unlock()
	m.srv.metrics.sweeps.Inc()
	m.noteAttempts(lapsed, now)
	for _, s := range over {
		m.end(s)
	}
	return busy
}

// lapse takes back what s was pushed a lease ago and has not acknowledged. It
// is called with m.mu held.
func (m *mesh) lapse(s *session, now time.Time, lapsed map[*mailbox][]int64) {
	if s.inflight == 0 {
		return
	}
	for _, b := range s.boxes() {
		for _, it := range b.items {
			if it.holder == s && it.state == leased && now.Sub(it.pushed) >= m.srv.cfg.Lease {
				it.release()
				lapsed[b] = append(lapsed[b], it.seq)
			}
		}
		if len(lapsed[b]) > 0 {
			m.offer(b)
		}
	}
}

// noteAttempts records deliveries that came to nothing, for the trail.
func (m *mesh) noteAttempts(lapsed map[*mailbox][]int64, now time.Time) {
	if len(lapsed) == 0 {
		return
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		for b, seqs := range lapsed {
			if err := tx.MarkPushed(b.addr, seqs, now); err != nil {
				return err
			}
		}
		return nil
	})
	m.logFailed("note lapsed leases", err)
}
