package confine

import "fmt"

// Report says for people what holds services on this machine, a line each.
func (c *Confiner) Report() []string {
	can := &c.can
	if can.missing != nil {
		return []string{"services: none can be deployed: " + can.missing.Error()}
	}
	return []string{
		"user: " + can.reportUser(c.opts),
		"files: " + can.reportFiles(),
		"network: " + can.reportNetwork(),
		"memory: " + can.reportMemory(),
		"processes: " + can.reportProcesses(),
		"cpus: " + can.reportCPUs(),
		"end: " + can.reportEnd(),
	}
}

func (a *ability) reportUser(o Options) string {
	if a.ownUser != nil {
		return fmt.Sprintf("services run as the broker's user: %v", a.ownUser)
	}
	return fmt.Sprintf("each service has a user id of its own, of %d to %d", o.FirstUser, o.FirstUser+o.Users-1)
}

func (a *ability) reportFiles() string {
	switch landlock := fmt.Sprintf("Landlock %d", a.landlock); {
	case a.spaces == nil && a.landlock > 0:
		return "a service sees its directory and the system's programs, by a mount namespace and " + landlock
	case a.spaces == nil:
		return "a service sees its directory and the system's programs, by a mount namespace"
	default:
		return "a service reads its directory and the system's programs, by " + landlock + "; it sees names and sizes of other files"
	}
}

func (a *ability) reportNetwork() string {
	if a.spaces != nil {
		return fmt.Sprintf(`only network_allow ["*"]: %v`, a.spaces)
	}
	return "a namespace of its own: none, or listed hosts by the broker's proxy, or the machine's"
}

func (a *ability) reportMemory() string {
	if a.memory {
		return "a control group"
	}
	return fmt.Sprintf("a limit of each process, and all together are looked at every %v and ended when they have too much", watchEvery)
}

func (a *ability) reportProcesses() string {
	switch {
	case a.pids:
		return "a control group"
	case a.ownUser == nil || a.spaces == nil && a.userNS && !a.root:
		return "a limit of the service's user"
	default:
		return fmt.Sprintf("they are counted every %v and ended when they are too many", countEvery)
	}
}

func (a *ability) reportCPUs() string {
	if a.cpu {
		return "a control group; without a limit a service comes after what else runs"
	}
	return fmt.Sprintf("a service comes after what else runs (nice %d); a limit is refused: %v", nice, a.noCPU())
}

func (a *ability) reportEnd() string {
	if a.spaces == nil {
		return "what a service has started ends with it, by a pid namespace"
	}
	return "what a service has started is found and ended by its supervisor"
}
