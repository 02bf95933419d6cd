package peer

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	maxSessions  = 64          // of this machine that are asked
	sessionsTime = time.Second // for all of them to answer
)

// RunningSessions asks every session of this user on this machine by which
// ways mail reaches its model, 64 at most. Those that do not answer within
// a second are left out; where there are no local sockets there are none. They
// are in the order of their ids.
func RunningSessions(ctx context.Context) []WaysAnswer {
	dir, err := RuntimeDir()
	if err != nil {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sessionsTime)
	defer cancel()
	answers := make([]WaysAnswer, min(len(paths), 2*maxSessions)) // each listens under two names
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			// Whoever does not answer has ended, or ends.
			if a, err := (&SessionClient{path: paths[i]}).Ways(ctx); err == nil {
				answers[i] = a
			}
		})
	}
	wg.Wait()
	answers = slices.DeleteFunc(answers, func(a WaysAnswer) bool { return a.PID == 0 })
	slices.SortFunc(answers, func(a, b WaysAnswer) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(a.PID, b.PID))
	})
	answers = slices.CompactFunc(answers, func(a, b WaysAnswer) bool { return a.PID == b.PID })
	return answers[:min(len(answers), maxSessions)]
}
