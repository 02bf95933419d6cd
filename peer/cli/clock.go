package cli

import (
	"context"
	"errors"
	"strconv"

	"claudemesh/peer"
	"claudemesh/wire"
)

func clockCommand() Command {
	return Command{
		Name: "clock", Theme: Automate, Short: "Set, pause and resume the simulation clock of a mesh",
		Long: `Every mesh may have one clock for simulations, which runs up to 100 times as fast as
time. With each simulated minute every session is told a tick, and what was
scheduled with ` + "`remind --sim`" + ` is sent. The clock pauses when nobody is connected
any more, and when the broker ends; it goes on when it is resumed.`,
		Sub: []Command{
			clockSetCommand(),
			clockTurnCommand("pause", "Pause the clock", wire.PauseClock{}),
			clockTurnCommand("resume", "Have a paused clock go on", wire.ResumeClock{}),
			clockTurnCommand("get", "Show the clock", wire.GetClock{}),
		},
	}
}

func clockSetCommand() Command {
	return Command{
		Name: "set", Args: "<speed>", Short: "Start the clock, or change its speed",
		Long:     "The speed is 1 to 100 simulated minutes a minute; fractions are allowed. A clock that is paused stays so.",
		Examples: []string{"claudemesh clock set 10", "claudemesh clock set 2.5"},
		Mesh:     true, JSON: true, Output: wire.ClockStatus{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			f, err := strconv.ParseFloat(args[0], 64)
			speed := wire.Speed(f)
			if err != nil || speed != speed.Clamp() {
				return Usagef("speed %s: give a number from %g to %g", args[0], wire.MinSpeed, wire.MaxSpeed)
			}
			return askClock(ctx, env, wire.SetClock{Speed: speed})
		},
	}
}

func clockTurnCommand(name, short string, req wire.Request[wire.ClockStatus]) Command {
	return Command{
		Name: name, Short: short, Examples: []string{"claudemesh clock " + name},
		Mesh: true, JSON: true, Output: wire.ClockStatus{},
		Run: func(ctx context.Context, env *Env, _ []string) error { return askClock(ctx, env, req) },
	}
}

// askClock asks or turns the clock and prints what it shows then.
func askClock(ctx context.Context, env *Env, req wire.Request[wire.ClockStatus]) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		status, err := peer.Call(ctx, c, req)
		switch {
		case errors.Is(err, &wire.Error{Code: wire.NoClock}):
			return WithHint(err, "`claudemesh clock set 10` starts one")
		case err != nil:
			return err
		case env.JSON:
			return env.Out().JSON(status)
		case status.Speed == 0:
			env.Out().Printf("The simulation clock of %s is not started.\n", c.Mesh().Slug)
			return nil
		}
		state := "running"
		if status.Paused {
			state = "paused"
		}
		env.Out().Printf("The simulation clock of %s is %s at speed %g: tick %d, simulated time %s.\n",
			c.Mesh().Slug, Styled{Bold, state}, float64(status.Speed), status.Tick, status.SimTime)
		if !status.Paused {
			return warnAlone(ctx, env, c)
		}
		return nil
	})
}

// warnAlone says that a clock which nobody stays for pauses as the command ends.
func warnAlone(ctx context.Context, env *Env, c *peer.Client) error {
	list, err := c.Peers(ctx)
	if err == nil && len(list.Peers) == 0 {
		env.Err().Printf("Nobody is connected to %s, so it pauses now: resume it when somebody is.\n", c.Mesh().Slug)
	}
	return err
}
