package bench

import "time"

// A pace is for how long the suite measures and with how many. Each figure and
// what it is held against are measured in turn, in every round, because the
// same machine is now quicker, now slower.
type pace struct {
	warm, limit, latency, through, rival, echo, fan, idle, settle time.Duration

	rest time.Duration // after which an idle broker has given back what memory it does not need

	clients    []int // that send at once
	cpuClients int   // one of them, where the broker's CPU time is measured
	receivers  int   // of a message to many
}

// fullPace is for figures, quickPace to see that everything works.
func fullPace() pace {
	return pace{
		warm: 500 * time.Millisecond, limit: limitTime, latency: time.Second, through: time.Second, rival: 800 * time.Millisecond,
		echo: 600 * time.Millisecond, fan: time.Second, idle: 2 * time.Second, settle: 250 * time.Millisecond, rest: 11 * time.Second,
		clients: []int{8, 64, 256}, cpuClients: 64, receivers: 1000,
	}
}

func quickPace() pace {
	const brief = 30 * time.Millisecond
	return pace{
		warm: brief, limit: brief, latency: brief, through: brief, rival: brief,
		echo: 2 * brief, fan: brief, idle: brief, settle: brief, rest: brief,
		clients: []int{2, 8}, cpuClients: 8, receivers: 20,
	}
}
