package broker

import (
	"github.com/prometheus/client_golang/prometheus"

	"claudemesh/store"
	"claudemesh/wire"
)

// What came of requests to webhooks; each is counted.
const (
	postSent      = "sent"
	postDuplicate = "duplicate" // had come before
	postLooked    = "looked"    // whether the URL is good
	postUnknown   = "unknown"   // no such webhook, or a wrong secret
	postLimited   = "limited"   // too many
	postUnsigned  = "unsigned"  // a signature that is missing or wrong
	postInvalid   = "invalid"   // no JSON
	postTooLarge  = "too_large"
	postFull      = "full"    // nobody had room
	postAborted   = "aborted" // the sender went away
	postFailed    = "failed"  // nothing was kept
)

// postOutcomes are all of them.
func postOutcomes() []string {
	return []string{postSent, postDuplicate, postLooked, postUnknown, postLimited, postUnsigned, postInvalid, postTooLarge, postFull, postAborted, postFailed}
}

// automationMetrics count what the broker does by itself, and what comes from outside.
type automationMetrics struct {
	posts        *prometheus.CounterVec // requests to webhooks, by outcome
	looks        prometheus.Counter     // of watches, as are the next two
	lookFailures prometheus.Counter
	triggers     prometheus.Counter
	fired        prometheus.Counter     // scheduled messages
	missed       *prometheus.CounterVec // scheduled messages that were too late, by policy
}

func newAutomationMetrics(counter func(name, help string) prometheus.Counter, vec func(name, help, label string, values ...string) *prometheus.CounterVec) automationMetrics {
	return automationMetrics{
		posts:        vec("broker_webhook_requests_total", "Requests to webhooks, by what came of them.", "outcome", postOutcomes()...),
		looks:        counter("broker_watch_looks_total", "Looks at URLs that are watched."),
		lookFailures: counter("broker_watch_failures_total", "Looks at URLs that failed."),
		triggers:     counter("broker_watch_triggers_total", "Messages that told of a watch."),
		fired:        counter("broker_schedules_fired_total", "Scheduled messages that were sent."),
		missed: vec("broker_schedules_missed_total", "Scheduled messages found more than a minute late, by what is to come of them.", "policy",
			store.MissedOnce, store.MissedSkip, store.MissedAll),
	}
}

// posted counts a request to a webhook.
func (m *automationMetrics) posted(outcome string) { m.posts.WithLabelValues(outcome).Inc() }

// refusedPost counts a request to a webhook that was refused with that code.
func (m *automationMetrics) refusedPost(code wire.Code) {
	switch code {
	case hookUnknown:
		m.posted(postUnknown)
	case wire.RateLimited:
		m.posted(postLimited)
	case hookUnsigned:
		m.posted(postUnsigned)
	case hookNoJSON, hookNoObject:
		m.posted(postInvalid)
	case hookTooLarge:
		m.posted(postTooLarge)
	case wire.Limit:
		m.posted(postFull)
	default:
		m.posted(postFailed)
	}
}
