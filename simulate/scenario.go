package simulate

import "slices"

// Version is the version of the format, the value of the field simulation.
const Version = 1

// Scenario is what a simulation plays. Its text is YAML or JSON; the fields are
// named by their tags and described in docs/SIMULATION.md.
type Scenario struct {
	place
	Version     int           `yaml:"simulation"`
	Name        string        `yaml:"name"`
	Description string        `yaml:"description"`
	Seed        uint64        `yaml:"seed"`
	Clock       Clock         `yaml:"clock"`
	Duration    Minutes       `yaml:"duration"`
	World       *World        `yaml:"world"`
	Personas    []Persona     `yaml:"personas"`
	Broker      []Disturbance `yaml:"broker"`
	Expect      []Expectation `yaml:"expect"`

	names, groups map[string]bool // of the personas; set by Parse
}

// HasCommands reports whether a persona is a command.
func (s *Scenario) HasCommands() bool {
	return slices.ContainsFunc(s.Personas, func(p Persona) bool { return len(p.Command) > 0 })
}

// Clock says whose minutes count and how fast they pass.
type Clock struct {
	place
	Of    string  `yaml:"of"`    // mesh, the default, or own
	Speed float64 `yaml:"speed"` // simulated minutes in a minute; 100 if left out
}

// The clocks of Clock.Of.
const (
	MeshClock = "mesh" // that of the mesh, at most 100 times as fast as time
	OwnClock  = "own"  // the conductor's, at most 60 000 times
)

const (
	maxMeshSpeed = 100
	maxOwnSpeed  = 60_000
)

// Persona is a peer, or several of a kind, and what it does.
type Persona struct {
	place
	Name    string     `yaml:"name"`
	Count   int        `yaml:"count"` // of more than one the names are name-1, name-2, …
	Role    string     `yaml:"role"`
	Groups  []string   `yaml:"groups"`
	Zone    string     `yaml:"zone"`
	Does    []Deed     `yaml:"does"`
	Reacts  []Reaction `yaml:"reacts"`
	Away    []Absence  `yaml:"away"`
	Command []string   `yaml:"command"` // a program and its arguments, in place of Reacts
	Timeout Span       `yaml:"timeout"` // of one run of Command; 60s if left out
	Runs    int        `yaml:"runs"`    // how often Command is run at most; 100 if left out
}

// Act is one thing that a persona does: it says a text to somebody, sets keys of
// the state, or asks the controller of the world for an action.
type Act struct {
	To       string         `yaml:"to"`
	Text     string         `yaml:"text"`
	Size     int            `yaml:"size"` // the text is filled up to so many bytes
	Priority string         `yaml:"priority"`
	Set      map[string]any `yaml:"set"`
	Act      string         `yaml:"act"`
	Target   string         `yaml:"target"`
}

// Deed is an Act at its time.
type Deed struct {
	place
	At     *Minutes `yaml:"at"`
	Every  Minutes  `yaml:"every"`
	From   Minutes  `yaml:"from"`
	Until  Minutes  `yaml:"until"`
	Times  int      `yaml:"times"` // at once, each time; 1 if left out
	Chance *float64 `yaml:"chance"`
	Act
}

// Reaction is an Act that answers something: a message, an event of the world
// that an observation tells of, or a change of the state.
type Reaction struct {
	place
	When   *Pattern `yaml:"when"`  // of the text of a message
	From   string   `yaml:"from"`  // who wrote it: a name or @group
	Event  *Pattern `yaml:"event"` // of a line in an observation
	Key    string   `yaml:"key"`   // of the state
	Is     any      `yaml:"is"`    // its value; any, if left out
	After  Minutes  `yaml:"after"`
	Chance *float64 `yaml:"chance"`
	Limit  int      `yaml:"limit"` // how often at most; no limit if left out
	Reply  string   `yaml:"reply"` // a text for the sender, as an answer
	Act
}

// Absence takes a persona offline.
type Absence struct {
	place
	From  Minutes `yaml:"from"`
	Until Minutes `yaml:"until"`
}

// Disturbance kills the broker and starts it again, if it is the run's own.
type Disturbance struct {
	place
	At Minutes `yaml:"kill"`
}

// World has a persona, the controller, keep a world: see docs/SIMULATION.md.
type World struct {
	place
	Controller string              `yaml:"controller"`
	Domain     string              `yaml:"domain"`
	Zones      map[string][]string `yaml:"zones"` // with their neighbours
	Values     map[string]any      `yaml:"values"`
	Actions    map[string]Action   `yaml:"actions"`
	Events     []WorldEvent        `yaml:"events"`
}

// Action is what personas may do in the world.
type Action struct {
	place
	Zone  string         `yaml:"zone"`  // where it can be done; anywhere if left out
	Role  string         `yaml:"role"`  // who can do it; anyone if left out
	Moves bool           `yaml:"moves"` // to the zone that is its target, a neighbouring one
	Sets  map[string]any `yaml:"sets"`
	Says  string         `yaml:"says"` // the event that it makes
}

// WorldEvent is what happens in the world by itself.
type WorldEvent struct {
	place
	At   Minutes        `yaml:"at"`
	Zone string         `yaml:"zone"` // where it is seen; everywhere if left out
	Says string         `yaml:"says"`
	Sets map[string]any `yaml:"sets"`
}

// Expectation must hold at the end. It has a name and one of the other fields.
type Expectation struct {
	place
	Name      string   `yaml:"name"`
	Delivered string   `yaml:"delivered"` // all
	Seen      string   `yaml:"seen"`      // all
	Messages  *Count   `yaml:"messages"`
	Latency   *Latency `yaml:"latency"`
	Order     []Match  `yaml:"order"`
	Reply     *Reply   `yaml:"reply"`
	State     *State   `yaml:"state"`
	Runs      *Runs    `yaml:"runs"`
}

// Match describes messages; what is left out fits all.
type Match struct {
	place
	From string   `yaml:"from"` // a name or @group
	To   string   `yaml:"to"`   // a name that it reached, or the @group or everyone that it was sent to
	Text *Pattern `yaml:"text"`
}

// Count bounds how many messages there are.
type Count struct {
	Match
	Min *int `yaml:"min"`
	Max *int `yaml:"max"`
}

// Latency bounds how long messages took, in real time.
type Latency struct {
	place
	Of  string `yaml:"of"` // push, the default: until the recipient had it; or ack: until it was on disk
	P50 Span   `yaml:"p50"`
	P95 Span   `yaml:"p95"`
	P99 Span   `yaml:"p99"`
	Max Span   `yaml:"max"`
}

// Reply wants each message that To describes answered, in simulated time.
type Reply struct {
	place
	To     Match   `yaml:"to"`
	From   string  `yaml:"from"` // by whom; anyone if left out
	Within Minutes `yaml:"within"`
}

// State wants a key of the shared state to have a value at the end.
type State struct {
	place
	Key string `yaml:"key"`
	Is  any    `yaml:"is"`
}

// Runs bounds how the runs of commands ended.
type Runs struct {
	place
	Of     string `yaml:"of"` // the persona; all if left out
	Min    *int   `yaml:"min"`
	Failed *int   `yaml:"failed"` // at most so many
}
