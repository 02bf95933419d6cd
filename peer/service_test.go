package peer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

func TestADeploymentTellsItsStatesAndReturnsTheOutcome(t *testing.T) {
	tools := []wire.MCPTool{{Name: "echo"}}
	for _, c := range []struct {
		name    string
		answers []wire.Frame
		states  string
		want    wire.ServiceStatus
		code    wire.Code
	}{
		{"it runs", []wire.Frame{
			wire.MCPDeployStatus{Status: wire.ServiceBuilding}, wire.MCPDeployStatus{Status: wire.ServiceInstalling}, wire.MCPDeployStatus{Status: wire.ServiceRunning, Tools: tools},
		}, "building installing", wire.ServiceRunning, ""},
		{"it fails", []wire.Frame{wire.MCPDeployStatus{Status: wire.ServiceBuilding}, wire.MCPDeployStatus{Status: wire.ServiceFailed, Error: "no entry"}}, "building", wire.ServiceFailed, ""},
		{"at once", []wire.Frame{wire.MCPDeployStatus{Status: wire.ServiceRunning}}, "", wire.ServiceRunning, ""},
		{"it is undeployed meanwhile", []wire.Frame{wire.MCPDeployStatus{Status: wire.ServiceBuilding}, wire.MCPDeployStatus{Status: wire.ServiceStopped}}, "building", wire.ServiceStopped, ""},
		{"it is refused", []wire.Frame{wire.Errorf(wire.Limit, "enough")}, "", "", wire.Limit},
		{"it is refused later", []wire.Frame{wire.MCPDeployStatus{Status: wire.ServiceBuilding}, wire.Errorf(wire.DeployError, "gone")}, "building", "", wire.DeployError},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTestBroker(t, func(k *brokerConn, _ int) {
				k.hello()
				f, _ := k.read()
				for _, a := range c.answers {
					k.write(f.ReqID, a)
				}
				k.wait()
			})
			client := b.open()
			var states []string
			st, err := client.Deploy(t.Context(), wire.MCPDeploy{ServerName: "db"}, func(s wire.MCPDeployStatus) { states = append(states, string(s.Status)) })
			refusal, _ := errors.AsType[*wire.Error](err)
			switch {
			case c.code != "" && (refusal == nil || refusal.Code != c.code):
				t.Errorf("error is %v", err)
			case c.code == "" && (err != nil || st.Status != c.want):
				t.Errorf("outcome is %+v, %v", st, err)
			}
			if got := strings.Join(states, " "); got != c.states {
				t.Errorf("it told %q, want %q", got, c.states)
			}
			if len(client.calls) != 0 {
				t.Error("the call is left over")
			}
		})
	}
}

// Progress moves the end of the waiting no further, and what nobody reads in
// time leaves room for the outcome.
func TestADeploymentIsWaitedForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			var writers sync.WaitGroup
			defer writers.Wait()
			k.serve(func(f received) wire.Frame {
				if f.Type == (wire.MCPDeploy{}).FrameType() {
					writers.Go(func() {
						for range 11 {
							k.write(f.ReqID, wire.MCPDeployStatus{Status: wire.ServiceBuilding})
							time.Sleep(time.Minute)
						}
					})
					return noAnswer
				}
				for range 3 * maxProgress {
					k.write(f.ReqID, wire.MCPDeployStatus{Status: wire.ServiceInstalling})
				}
				return wire.MCPDeployStatus{Status: wire.ServiceRunning}
			})
		})
		c := b.open()
		begin, told := time.Now(), 0
		_, err := c.Deploy(t.Context(), wire.MCPDeploy{ServerName: "db"}, func(wire.MCPDeployStatus) { told++ })
		if !errors.Is(err, ErrTimeout) || time.Since(begin) != deployTimeout || told < 10 {
			t.Errorf("after %v and %d states: %v", time.Since(begin), told, err)
		}
		st, err := c.UpdateService(t.Context(), "db", func(wire.MCPDeployStatus) { time.Sleep(time.Second) })
		if err != nil || st.Status != wire.ServiceRunning {
			t.Errorf("a slow reader got %+v, %v", st, err)
		}
	})
}

// encoded is v as JSON.
func encoded(t *testing.T, v any) json.RawMessage {
	t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestServicesAreThoseOfTheHelloAndOfTheEventsSince(t *testing.T) {
	event := func(event string, data any) wire.Push {
		return wire.Push{MeshID: testMesh, Subtype: wire.SubtypeSystem, Event: event, EventData: encoded(t, data)}
	}
	tools := func(names ...string) (all []wire.MCPTool) {
		for _, n := range names {
			all = append(all, wire.MCPTool{Name: n})
		}
		return all
	}
	steps := []struct {
		push wire.Push
		want string
	}{
		{event(wire.EventMCPDeployed, wire.MCPDeployed{Name: "db", Tools: tools("query"), DeployedBy: "ann"}), "db:query docs:read"},
		{event(wire.EventMCPUpdated, wire.MCPUpdated{Name: "docs", Tools: tools("read", "find")}), "db:query docs:read,find"},
		{event(wire.EventMCPScopeChanged, wire.MCPScopeChanged{Name: "db"}), "db:query docs:read,find"},
		{event(wire.EventMCPCrashed, wire.MCPCrashed{Name: "db"}), "docs:read,find"},
		{event(wire.EventMCPUndeployed, wire.MCPUndeployed{Name: "none"}), "docs:read,find"},
		{event(wire.EventMCPUpdated, wire.MCPUpdated{Name: "db", Tools: tools("q")}), "db:q docs:read,find"},
		{event(wire.EventMCPUndeployed, wire.MCPUndeployed{Name: "docs"}), "db:q"},
	}
	next := make(chan struct{})
	b := newTestBroker(t, func(k *brokerConn, n int) {
		k.readHello()
		k.write("", wire.HelloAck{Proto: wire.Proto, Services: []wire.DeployedService{{Name: "docs", Tools: tools("read"), Description: "the docs", Status: wire.ServiceRunning}}})
		if n > 1 {
			k.wait()
			return
		}
		for _, s := range steps {
			<-next
			k.write("", s.push)
		}
		<-next
	})
	c := b.open()
	told := func() string {
		var out []string
		for _, s := range c.Services() {
			var names []string
			for _, tool := range s.Tools {
				names = append(names, tool.Name)
			}
			out = append(out, s.Name+":"+strings.Join(names, ","))
		}
		return strings.Join(out, " ")
	}
	if got := told(); got != "docs:read" {
		t.Fatalf("after the hello: %s", got)
	}
	for _, s := range steps {
		before := c.Services()
		next <- struct{}{}
		if e := receive(t, c.Events()); e.Frame.(wire.Push).Event != s.push.Event {
			t.Fatalf("the event is %v", e)
		}
		if got := told(); got != s.want {
			t.Errorf("after %s: %s, want %s", s.push.Event, got, s.want)
		}
		if !slices.IsSortedFunc(before, func(a, b wire.DeployedService) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("not in order: %v", before)
		}
	}
	changed := c.ServicesChanged()
	next <- struct{}{} // a new connection, a new hello
	<-changed
	if got := told(); got != "docs:read" {
		t.Errorf("after another hello: %s", got)
	}
}
