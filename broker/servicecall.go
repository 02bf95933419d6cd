package broker

import (
	"context"
	"errors"
	"fmt"

	"claudemesh/broker/runner"
	"claudemesh/wire"
)

// Outcomes of calls of services; each is counted.
const (
	callDone      = "done"      // the service has answered, that its tool failed perhaps
	callRefusedBy = "refused"   // it is not running, or there are too many calls
	callBroken    = "failed"    // it could not be asked, or has not answered
	callLate      = "late"      // it has not answered in time
	callAbandoned = "abandoned" // the caller has gone
)

// callDeployed calls a tool of a service. Of one that the caller may not use it
// says what it says of none.
func (m *mesh) callDeployed(c *call, req *wire.MCPCall) (found bool, err error) {
	m.mu.Lock()
	svc := m.services[req.ServerName]
	if svc == nil || !m.inScope(svc, c.session) || svc.withdrawn() && !svc.owned(c.session) {
		m.mu.Unlock()
		return false, nil
	}
	status := svc.status()
	stands := string(status)
	if svc.queued && status == wire.ServiceRestarting {
		stands += ": " + svc.row.Error
	}
	m.mu.Unlock()
	calls := m.srv.metrics.serviceCalls
	if status != wire.ServiceRunning {
		calls.WithLabelValues(callRefusedBy).Inc()
		return true, wire.Errorf(wire.NotFound, "service %q is %s", req.ServerName, stands)
	}
	runner, err := m.runner()
	if err != nil {
		return true, runnerFailed(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &relay{
		from: c.conn, reqID: c.head.ReqID, service: req.ServerName, fail: callFailed, within: wire.ServiceCall,
		late: fmt.Sprintf("runner call failed: no answer within %d s: whether the tool ran is not known", int(wire.ServiceCall.Seconds())),
	}
	r.end = func(outcome string) {
		calls.WithLabelValues(outcome).Inc()
		cancel()
	}
	if err := m.relays.add(r); err != nil {
		cancel()
		calls.WithLabelValues(callRefusedBy).Inc()
		return true, err
	}
	call := func() {
		defer cancel()
		result, err := runner.Call(ctx, req.ServerName, req.ToolName, req.Args)
		if m.relays.take(r.id, nil, "") == nil {
			return // too late
		}
		if err != nil {
			r.end(outcomeOf(err))
			r.answer(callFailed(asError(runnerFailed(err)).Message))
			return
		}
		r.end(callDone)
		r.answer(wire.MCPCallResult{Result: result})
	}
	if !m.tryBackground(call) {
		m.relays.take(r.id, nil, "")
		r.end(callRefusedBy)
		return true, errServicesClosed
	}
	return true, nil
}

func outcomeOf(err error) string {
	if errors.Is(err, runner.ErrBusy) {
		return callRefusedBy
	}
	return callBroken
}

// runnerFailed says why a service could not be called.
func runnerFailed(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	return wire.Errorf(wire.NotFound, "runner call failed: %s", wire.Shorten(clean(err.Error(), wire.MaxCallError), wire.MaxCallError))
}
