package wire

import "encoding/json"

// SetClock makes the simulation clock of the mesh, running, or changes its
// speed. A clock that is paused stays so.
type SetClock struct {
	// Speed is how many simulated minutes pass in a minute, 1 to 100; fractions
	// are allowed, and what is out of range is taken as the nearest in it.
	Speed Speed `json:"speed"`
}

// Speed is the speed of a simulation clock. What is no number is read as 1.
type Speed float64

// The bounds of Speed.
const (
	MinSpeed Speed = 1
	MaxSpeed Speed = 100
)

// UnmarshalJSON implements json.Unmarshaler.
func (s *Speed) UnmarshalJSON(p []byte) error {
	var f float64
	if json.Unmarshal(p, &f) != nil {
		f = 1
	}
	*s = Speed(f)
	return nil
}

// Clamp returns the nearest speed that a clock may have.
func (s Speed) Clamp() Speed { return min(max(s, MinSpeed), MaxSpeed) }

// PauseClock stops the simulation clock. Schedules that go by it wait.
type PauseClock struct{}

// ResumeClock has a paused simulation clock go on.
type ResumeClock struct{}

// GetClock asks what the simulation clock shows.
type GetClock struct{}

// ClockStatus is what the simulation clock shows. Without one it is paused at
// speed 0, and both times are now.
type ClockStatus struct {
	Speed     Speed `json:"speed"`     // simulated minutes a minute
	Paused    bool  `json:"paused"`    // it stands still
	Tick      int64 `json:"tick"`      // simulated minutes that passed since the clock was made
	SimTime   Time  `json:"simTime"`   // began as the time at which the clock was made
	StartedAt Time  `json:"startedAt"` // when the clock was made
}

// Tick tells of a simulated minute that has passed.
type Tick struct {
	Tick    int64 `json:"tick"`
	SimTime Time  `json:"simTime"`
	Speed   Speed `json:"speed"`
}

// ClockPaused tells a session that was here when the broker ended that this has
// paused the simulation clock. It goes on when somebody resumes it.
type ClockPaused struct {
	Tick    int64 `json:"tick"`    // simulated minutes that passed since the clock was made
	SimTime Time  `json:"simTime"` // where it stands
	Speed   Speed `json:"speed"`   // at which it will go on
}

func (SetClock) FrameType() Type    { return "set_clock" }
func (PauseClock) FrameType() Type  { return "pause_clock" }
func (ResumeClock) FrameType() Type { return "resume_clock" }
func (GetClock) FrameType() Type    { return "get_clock" }
func (ClockStatus) FrameType() Type { return "clock_status" }

func (SetClock) answer() (r ClockStatus)    { return }
func (PauseClock) answer() (r ClockStatus)  { return }
func (ResumeClock) answer() (r ClockStatus) { return }
func (GetClock) answer() (r ClockStatus)    { return }
