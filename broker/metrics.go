package broker

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"claudemesh/wire"
)

// Reasons for which something is dropped; each is counted.
const (
	dropSlow        = "slow_consumer" // ephemeral frames of a peer that does not keep up
	dropStreamed    = "stream_data"   // entries of streams, of such a peer: it can fetch those that are kept
	dropMailboxFull = "mailbox_full"  // recipients of a multicast without room
	dropEvents      = "old_events"    // deliveries of events that gave way to newer ones, or waited for too long
	dropNotices     = "notices"       // old notices of a sender who never comes
	dropRelay       = "relay"         // answers of a peer that nobody waits for, from it
)

// metrics are the broker's counters.
type metrics struct {
	registry            *prometheus.Registry
	connections         prometheus.Counter
	connectionsRejected *prometheus.CounterVec
	active              prometheus.Gauge
	routed              [len(wire.Priorities)]prometheus.Counter // by rank
	streamed            prometheus.Counter                       // entries of streams
	rejected            *prometheus.CounterVec
	drops               *prometheus.CounterVec
	expired             prometheus.Counter
	sweeps              prometheus.Counter
	hooks               prometheus.Counter
	hooksLimited        prometheus.Counter
	serviceRestarts     prometheus.Counter
	serviceCalls        *prometheus.CounterVec // by outcome
	automationMetrics
}

func newMetrics(srv *Server) *metrics {
	r := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value) // shown as 0 from the start
		}
		r.MustRegister(v)
		return v
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	m := &metrics{
		registry:    r,
		connections: counter("broker_connections_total", "WebSocket connections opened."),
		connectionsRejected: vec("broker_connections_rejected_total", "Handshakes refused, by error code.", "reason",
			codes(wire.Capacity, wire.TimestampSkew, wire.Malformed, wire.BadSignature, wire.Unauthorized)...),
		active:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "broker_connections_active", Help: "Authenticated connections."}),
		rejected: vec("broker_messages_rejected_total", "Frames refused, by error code.", "reason", codes(wire.Malformed, wire.BadRequest, wire.RateLimited, wire.Internal)...),
		drops:    vec("broker_drops_total", "What was dropped, by reason.", "reason", dropSlow, dropStreamed, dropMailboxFull, dropEvents, dropNotices, dropRelay),
		expired:  counter("broker_messages_expired_total", "Messages given up because their time ran out."),
		sweeps:   counter("broker_ttl_sweeps_total", "Runs of the sweep that ends stale working statuses."),
		hooks:    counter("broker_hook_requests_total", "Hook requests received."),
		hooksLimited: counter("broker_hook_requests_rate_limited_total",
			"Hook requests refused because there were too many."),
	}
	m.automationMetrics = newAutomationMetrics(counter, vec)
	m.serviceRestarts = counter("broker_service_restarts_total", "Services that ended by themselves and were started again.")
	m.serviceCalls = vec("broker_service_calls_total", "Calls of deployed services, by outcome.", "outcome",
		callDone, callRefusedBy, callBroken, callLate, callAbandoned)
	r.MustRegister(m.active, newServiceGauge(srv))
	routed := vec("broker_messages_routed_total", "Pushes by recipient and priority.", "priority")
	for i, p := range wire.Priorities {
		m.routed[i] = routed.WithLabelValues(string(p))
	}
	m.streamed = routed.WithLabelValues("stream")
	gauge("broker_queue_depth", "Deliveries that are neither seen nor expired.", func() float64 { return float64(srv.queueDepth()) })
	gauge("broker_db_healthy", "1 while every mesh can be read and written, else 0.", func() float64 {
		if srv.healthy() {
			return 1
		}
		return 0
	})
	return m
}

func codes(cs ...wire.Code) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = string(c)
	}
	return out
}

func (m *metrics) rejectedFrame(c wire.Code) { m.rejected.WithLabelValues(string(c)).Inc() }

func (m *metrics) dropped(reason string, n int) {
	if n > 0 {
		m.drops.WithLabelValues(reason).Add(float64(n))
	}
}

// droppedFrames counts frames that found no room in an outbox.
func (m *metrics) droppedFrames(k kind, n int) {
	reason := dropSlow
	if k == streamed {
		reason = dropStreamed
	}
	m.dropped(reason, n)
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
