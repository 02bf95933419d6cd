package tools

import (
	"context"
	"fmt"

	"claudemesh/peer"
	"claudemesh/wire"
)

func clockTools() []tool {
	return []tool{
		define(tool{
			name: "mesh_clock", reads: true, hint: "simulation clock time tick speed",
			description: "See the simulation clock of a mesh: whether it runs, its speed, the simulated time and the ticks so far.",
		}, meshClock),
		define(tool{
			name: "mesh_set_clock", hint: "simulation clock start speed set",
			description: "Start the simulation clock of a mesh, or change its speed: 1 to 100 simulated minutes a minute. Each simulated minute is a tick that every peer is told of. It pauses when nobody is connected.",
		}, meshSetClock),
		define(tool{
			name: "mesh_pause_clock", hint: "simulation clock pause stop",
			description: "Pause the simulation clock of a mesh; what is scheduled by it waits.",
		}, meshPauseClock),
		define(tool{
			name: "mesh_resume_clock", hint: "simulation clock resume continue",
			description: "Have a paused simulation clock go on.",
		}, meshResumeClock),
	}
}

type clockArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

type setClockArgs struct {
	Speed float64 `json:"speed" doc:"1 to 100; fractions are allowed"`
	Mesh  string  `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func meshClock(ctx context.Context, h *hub, in clockArgs) (reply, error) {
	return askClock(ctx, h, in.Mesh, wire.GetClock{})
}

func meshSetClock(ctx context.Context, h *hub, in setClockArgs) (reply, error) {
	speed := wire.Speed(in.Speed)
	if speed != speed.Clamp() {
		return reply{}, fmt.Errorf("speed %g: give %g to %g", in.Speed, wire.MinSpeed, wire.MaxSpeed)
	}
	return askClock(ctx, h, in.Mesh, wire.SetClock{Speed: speed})
}

func meshPauseClock(ctx context.Context, h *hub, in clockArgs) (reply, error) {
	return askClock(ctx, h, in.Mesh, wire.PauseClock{})
}

func meshResumeClock(ctx context.Context, h *hub, in clockArgs) (reply, error) {
	return askClock(ctx, h, in.Mesh, wire.ResumeClock{})
}

// askClock asks or turns the clock of a mesh and says what it shows then.
func askClock(ctx context.Context, h *hub, slug string, req wire.Request[wire.ClockStatus]) (reply, error) {
	m, err := h.one(slug)
	if err != nil {
		return reply{}, err
	}
	c, err := peer.Call(ctx, m.client, req)
	if err != nil {
		return reply{}, m.explain(err)
	}
	state := "running"
	switch {
	case c.Speed == 0:
		return reply{data: map[string]any{"mesh": m.slug, "state": "not started"}, text: fmt.Sprintf("%s: the simulation clock is not started: mesh_set_clock starts it.", m.slug)}, nil
	case c.Paused:
		state = "paused"
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "state": state, "speed": c.Speed, "paused": c.Paused, "tick": c.Tick, "simTime": c.SimTime, "startedAt": c.StartedAt},
		text: fmt.Sprintf("%s: the simulation clock is %s at speed %g: tick %d, simulated time %s, started %s.", m.slug, state, float64(c.Speed), c.Tick, c.SimTime, c.StartedAt),
	}, nil
}
