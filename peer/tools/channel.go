package tools

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"claudemesh/peer"
)

// channelPatience is how long a session is given to show the other ways that it
// has.
const channelPatience = 2 * time.Second

// A channel is the host's way for notifications. The host never says whether it
// shows them, and mostly does not, so mail goes by it only where a reply has
// proven it in this session, where the user says so, or where nothing else is
// open: all other ways would wait for confirmTime otherwise, for nothing.
type channel struct {
	open  bool // the session was started with it
	first bool // the user knows that it works
	since time.Time
}

// newChannel finds out whether the session was started with the channel:
// CLAUDEMESH_CHANNEL is 1 for that, and first where it works. Without it the
// command line of the host says it, hostLine, and where the system does not
// tell that, nil, whoever launched the host.
func newChannel(getenv func(string) string, hostLine []string) channel {
	c := channel{since: time.Now()}
	switch getenv("CLAUDEMESH_CHANNEL") {
	case "first":
		c.open, c.first = true, true
	case "1":
		c.open = true
	case "":
		if getenv("CLAUDECODE") != "" {
			c.open = namesChannel(hostLine) || hostLine == nil && getenv(peer.LaunchedWithChannel) == "1"
		}
	}
	return c
}

// commandLine returns the words by which a process was started; none where the
// system does not tell.
func commandLine(pid int) []string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

// namesChannel reports whether the host was started with the flag for our
// channel, which takes all words up to the next flag.
func namesChannel(words []string) bool {
	const ours = "server:" + Name
	within := false
	for _, word := range words {
		flag, value, _ := strings.Cut(word, "=")
		known := flag == "--dangerously-load-development-channels" || flag == "--channels"
		switch {
		case known && slices.Contains(strings.Split(value, ","), ours), within && word == ours:
			return true
		case word == "--":
			return false
		case strings.HasPrefix(word, "-"):
			within = known
		}
	}
	return false
}

// carries reports whether mail goes by the channel now, and if not, when that
// is to be looked at again; zero for not before something changes. It is called
// with the post's mu held.
func (w *ways) carries(p *post, now time.Time) (ok bool, look time.Time) {
	c := &w.channel
	switch {
	case !c.open || p.mode == "off" || p.expected(peer.WayChannel):
		return false, look
	case c.first || p.proven:
		return true, look
	case w.native != nil || p.waiting[peer.WayWatch] > 0:
		return false, look
	}
	for _, way := range []string{peer.WayWake, peer.WayHook, peer.WayStop} {
		if !p.asked[way].IsZero() {
			return false, look
		}
	}
	if at := c.since.Add(channelPatience); now.Before(at) {
		return false, at
	}
	return true, look
}
