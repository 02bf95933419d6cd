package simulate

import (
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"claudemesh/wire"
)

// Bounds of a scenario.
const (
	maxPersonas = 5000
	maxDuration = Minutes(7 * 24 * 60)
	maxTimes    = 10_000
	maxText     = wire.MaxOrdinaryBytes/4*3 - 2048 // of a message, so that it fits a frame when sealed
	maxPlanned  = 200_000                          // messages that all deeds make together
	maxRuns     = 10_000
)

// everyone is the target that means all personas.
const (
	everyone = "everyone"
	anyone   = "any" // somebody else, drawn by the seed
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$`)

// Load reads the scenario in a file.
func Load(name string) (*Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxScenario+1))
	if err != nil {
		return nil, err
	}
	s, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// Parse reads a scenario and checks it. Its errors name the line and the field.
// What the scenario leaves out has its default in what is returned.
func Parse(data []byte) (*Scenario, error) {
	s := new(Scenario)
	if err := decode(data, s); err != nil {
		return nil, err
	}
	for _, check := range []func() error{s.checkHead, s.checkPersonas, s.checkWorld, s.checkDeeds, s.checkExpectations} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Scenario) checkHead() error {
	if s.Version != Version {
		return s.wrong("simulation", "must be %d, the version of the format that this program reads", Version)
	}
	if !namePattern.MatchString(s.Name) {
		return s.wrong("name", "must be 1 to 40 letters, digits, _, - and ., and begin with a letter or digit")
	}
	if s.Duration < 1 || s.Duration > maxDuration {
		return s.wrong("duration", "must be from 1m to %v of simulated time", maxDuration)
	}
	c := &s.Clock
	if c.Of == "" {
		c.Of = MeshClock
	}
	if c.Speed == 0 {
		c.Speed = maxMeshSpeed
	}
	if err := c.check(s); err != nil {
		return err
	}
	for i := range s.Broker {
		if d := &s.Broker[i]; d.At < 1 || d.At > s.Duration {
			return d.wrong("kill", "must be from 1m to the duration, %v", s.Duration)
		}
	}
	return nil
}

func (c *Clock) check(s *Scenario) error {
	p := &c.place
	if p.line == 0 {
		p = &place{s.line, "clock"}
	}
	switch {
	case c.Of != MeshClock && c.Of != OwnClock:
		return p.wrong("of", "must be %s or %s", MeshClock, OwnClock)
	case c.Of == MeshClock && (c.Speed < 1 || c.Speed > maxMeshSpeed):
		return p.wrong("speed", "must be from 1 to %d; of: own has a clock that can be faster", maxMeshSpeed)
	case c.Speed <= 0 || c.Speed > maxOwnSpeed:
		return p.wrong("speed", "must be above 0 and up to %d", maxOwnSpeed)
	}
	return nil
}

func (s *Scenario) checkPersonas() error {
	total := 0
	s.names, s.groups = make(map[string]bool), make(map[string]bool)
	for i := range s.Personas {
		p := &s.Personas[i]
		p.Count = max(p.Count, 1)
		total += p.Count
		if err := p.check(s); err != nil {
			return err
		}
		if total > maxPersonas {
			return s.wrong("personas", "there are more than %d", maxPersonas)
		}
		for _, name := range p.names() {
			if s.names[name] {
				return p.wrong("name", "%q is the name of two personas", name)
			}
			s.names[name] = true
		}
		for _, g := range p.Groups {
			for ; g != "."; g = path.Dir(g) { // who is in a/b is in a
				s.groups[g] = true
			}
		}
	}
	if total == 0 {
		return s.wrong("personas", "there is nobody")
	}
	return nil
}

// names returns the names of the actors that a persona stands for.
func (p *Persona) names() []string {
	if p.Count == 1 {
		return []string{p.Name}
	}
	names := make([]string, p.Count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", p.Name, i+1)
	}
	return names
}

func (p *Persona) check(s *Scenario) error {
	if !namePattern.MatchString(p.Name) || p.Name == everyone || p.Name == anyone {
		return p.wrong("name", "must be 1 to 40 letters, digits, _, - and ., begin with a letter or digit, and be neither %s nor %s", everyone, anyone)
	}
	for i, g := range p.Groups {
		clean, err := wire.CleanGroup(wire.Group{Name: g})
		if err != nil || len(clean.Name) > 60 {
			return p.wrong(fmt.Sprintf("groups[%d]", i), "%q is no name of a group: use up to 60 letters, digits, _, -, . and /", g)
		}
		p.Groups[i] = clean.Name
	}
	if len(p.Groups) > 20 {
		return p.wrong("groups", "there are more than 20")
	}
	if len(p.Role) > wire.MaxRole || wire.HasControl(p.Role) {
		return p.wrong("role", "must be at most %d characters without line breaks", wire.MaxRole)
	}
	if p.Zone != "" && (s.World == nil || !s.World.hasZone(p.Zone)) {
		return p.wrong("zone", "%q is no zone of the world", p.Zone)
	}
	if err := p.checkCommand(); err != nil {
		return err
	}
	for i := range p.Away {
		if a := &p.Away[i]; a.Until <= a.From || a.Until > s.Duration {
			return a.wrong("until", "must be after from, and not after the duration")
		}
	}
	return nil
}

func (p *Persona) checkCommand() error {
	switch {
	case len(p.Command) == 0 && (p.Timeout != 0 || p.Runs != 0):
		return p.wrong("command", "is missing, while there is a timeout or runs for it")
	case len(p.Command) > 0 && len(p.Reacts) > 0:
		return p.wrong("reacts", "a persona that is a command reacts by itself: leave one of the two out")
	case len(p.Command) > 0 && p.Command[0] == "":
		return p.wrong("command[0]", "must be a program")
	case p.Runs < 0 || p.Runs > maxRuns:
		return p.wrong("runs", "must be up to %d", maxRuns)
	}
	return nil
}

func (w *World) hasZone(name string) bool { _, ok := w.Zones[name]; return ok }

func (s *Scenario) checkDeeds() error {
	planned := 0
	for i := range s.Personas {
		p := &s.Personas[i]
		for j := range p.Does {
			d := &p.Does[j]
			if err := d.check(s); err != nil {
				return err
			}
			planned += p.Count * d.occasions() * d.Times
			if planned > maxPlanned {
				return d.wrong("", "with it the scenario would have more than %d messages", maxPlanned)
			}
		}
		for j := range p.Reacts {
			if err := p.Reacts[j].check(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Deed) check(s *Scenario) error {
	d.Times = max(d.Times, 1)
	switch {
	case (d.At == nil) == (d.Every == 0):
		return d.wrong("at", "a deed has either at or every, above zero")
	case d.At != nil && (*d.At > s.Duration || d.From != 0 || d.Until != 0):
		return d.wrong("at", "must not be after the duration, %v, and goes with neither from nor until", s.Duration)
	case d.Until != 0 && d.Until < d.From:
		return d.wrong("until", "must not be before from")
	case d.Times > maxTimes:
		return d.wrong("times", "must be up to %d", maxTimes)
	}
	if d.Until == 0 || d.Until > s.Duration {
		d.Until = s.Duration
	}
	if err := checkChance(&d.place, &d.Chance); err != nil {
		return err
	}
	return d.Act.check(&d.place, s, 0)
}

// occasions returns how often a deed is due.
func (d *Deed) occasions() int {
	if d.At != nil {
		return 1
	}
	return int((d.Until-d.From)/d.Every) + 1
}

// due reports whether the deed is due in a minute.
func (d *Deed) due(minute Minutes) bool {
	if d.At != nil {
		return *d.At == minute
	}
	return minute >= d.From && minute <= d.Until && (minute-d.From)%d.Every == 0
}

func checkChance(p *place, chance **float64) error {
	if *chance == nil {
		*chance = new(float64)
		**chance = 1
	}
	if c := **chance; c < 0 || c > 1 {
		return p.wrong("chance", "must be from 0 to 1")
	}
	return nil
}

func (r *Reaction) check(s *Scenario) error {
	kinds := 0
	for _, given := range []bool{r.When != nil, r.Event != nil, r.Key != ""} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1 || kinds == 0 && r.From == "":
		return r.wrong("", "a reaction has one of when (or from), event and key")
	case r.Event != nil && s.World == nil:
		return r.wrong("event", "there is no world that has events")
	case r.Key != "" && !stateKey(r.Key):
		return r.wrong("key", "must begin with sim:")
	case r.Is != nil && r.Key == "":
		return r.wrong("is", "goes with key")
	case r.From != "" && (r.Event != nil || r.Key != ""):
		return r.wrong("from", "goes with messages, not with event or key")
	case r.Reply != "" && (r.Event != nil || r.Key != ""):
		return r.wrong("reply", "there is a sender to reply to only if it is a message: use to and text")
	case r.Limit < 0:
		return r.wrong("limit", "must not be negative")
	}
	if r.From != "" && !s.known(r.From) {
		return r.wrong("from", "%q is neither a persona nor a @group of one", r.From)
	}
	if err := checkChance(&r.place, &r.Chance); err != nil {
		return err
	}
	replies := 0
	if r.Reply != "" {
		replies = 1
	}
	if len(r.Reply) > maxText {
		return r.wrong("reply", "must be at most %d bytes", maxText)
	}
	return r.Act.check(&r.place, s, replies)
}

// check holds an act to having exactly one thing to do, of which others may
// have been found beside it.
func (a *Act) check(p *place, s *Scenario, others int) error {
	for _, given := range []bool{a.To != "" || a.Text != "" || a.Size != 0, len(a.Set) > 0, a.Act != ""} {
		if given {
			others++
		}
	}
	switch {
	case others != 1:
		return p.wrong("", "it has to do one thing: to with text, set, act, or, in a reaction, reply")
	case a.Size < 0 || a.Size > maxText || len(a.Text) > maxText:
		return p.wrong("text", "must be at most %d bytes, and size up to that", maxText)
	case a.To == "" && (a.Text != "" || a.Size != 0):
		return p.wrong("to", "is missing: a persona, @group, everyone, any or any @group")
	case a.To != "" && a.Text == "" && a.Size == 0:
		return p.wrong("text", "is missing")
	case a.Priority != "" && wire.Priority(a.Priority).Rank() < 0:
		return p.wrong("priority", "must be now, next or low")
	case a.Act == "" && a.Target != "":
		return p.wrong("target", "goes with act")
	}
	if a.To != "" && !s.target(a.To) {
		return p.wrong("to", "%q is neither a persona, a @group of one, everyone, any nor any @group", a.To)
	}
	for key := range a.Set {
		if !stateKey(key) {
			return p.wrong("set", "%q must begin with sim:, which keeps it apart from what others share", key)
		}
	}
	if a.Act != "" && (s.World == nil || !s.World.hasAction(a.Act)) {
		return p.wrong("act", "%q is no action of the world", a.Act)
	}
	return nil
}

func stateKey(key string) bool {
	return strings.HasPrefix(key, "sim:") && len(key) > len("sim:") && len(key) <= wire.MaxStateKey
}

// target reports whether a message can be for to.
func (s *Scenario) target(to string) bool {
	if rest, ok := strings.CutPrefix(to, anyone); ok {
		rest = strings.TrimSpace(rest)
		return rest == "" || strings.HasPrefix(rest, "@") && s.known(rest)
	}
	return to == everyone || s.known(to)
}

// known reports whether name is a persona, or a @group that one is in.
func (s *Scenario) known(name string) bool {
	if group, ok := strings.CutPrefix(name, "@"); ok {
		return s.groups[group]
	}
	return s.names[name]
}

// inGroup reports whether one of the groups is, or is below, that one.
func inGroup(groups []string, name string) bool {
	return slices.ContainsFunc(groups, func(g string) bool { return wire.Group{Name: g}.Matches(name) })
}
