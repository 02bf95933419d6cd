package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"claudemesh/broker/runner/confine"
)

var update = flag.Bool("update", false, "rewrite what scripts compare with")

func TestMain(m *testing.M) {
	confine.Main() // the broker starts cells with the program that it is
	testscript.Main(m, map[string]func(){
		module:       main,
		"fakehost":   func() { os.Exit(fakeHost()) },
		"fakeserver": func() { os.Exit(fakeServer()) },
	})
}

// TestScripts runs testdata/script/*.txtar against the real program: see the
// README there for the commands that scripts have.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		Setup:              setUp,
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as":             as,
			"jsonget":        jsonGet,
			"retry":          retry,
			"broker":         startBroker,
			"stop-broker":    stopBroker,
			"kill-broker":    killBroker,
			"restart-broker": restartBroker,
			"post":           post,
		},
	})
}

// setUp gives a script its first persona, and a place for its brokers.
func setUp(env *testscript.Env) error {
	// Sockets of the runtime directory have short names only, and $WORK is long.
	runtime, err := os.MkdirTemp("", "cm")
	if err != nil {
		return err
	}
	env.Defer(func() { os.RemoveAll(runtime) })
	env.Setenv("RUNTIME", runtime)
	// The race detector else holds up the end of each process by a second.
	env.Setenv("GORACE", cmp.Or(os.Getenv("GORACE"), "atexit_sleep_ms=10"))
	env.Setenv("TZ", "UTC")
	env.Values[brokersKey{}] = make(map[string]*brokerProcess)
	return become(env.WorkDir, runtime, "me", env.Setenv)
}

// become makes name the persona of the commands that follow: a user with a
// home, a configuration and a runtime directory apart.
func become(work, runtime, name string, setenv func(key, value string)) error {
	home, run := filepath.Join(work, name), filepath.Join(runtime, name)
	for _, dir := range []string{home, run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	setenv("HOME", home)
	setenv("USERPROFILE", home)
	setenv("XDG_RUNTIME_DIR", run)
	setenv("CLAUDEMESH_CONFIG_DIR", filepath.Join(home, ".claudemesh"))
	setenv("CLAUDEMESH_DISPLAY_NAME", name)
	return nil
}

// as switches the persona: as NAME.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] == "" || strings.ContainsAny(args[0], `/\`) {
		ts.Fatalf("usage: as NAME")
	}
	ts.Check(become(ts.Getenv("WORK"), ts.Getenv("RUNTIME"), args[0], ts.Setenv))
}

const (
	patience = time.Minute           // the longest that a script waits for a thing to come about
	interval = 20 * time.Millisecond // between two looks
)

// retry runs a program until it does what is asked, at most for patience:
// [!] retry [-stdout PATTERN] [-no-stdout PATTERN] PROGRAM [ARG...].
func retry(ts *testscript.TestScript, neg bool, args []string) {
	want, args, err := expectation(args)
	ts.Check(err)
	if len(args) == 0 {
		ts.Fatalf("usage: [!] retry [-stdout PATTERN] [-no-stdout PATTERN] PROGRAM [ARG...]")
	}
	for end := time.Now().Add(patience); ; time.Sleep(interval) {
		err := ts.Exec(args[0], args[1:]...)
		fault := want.fault(ts.ReadFile("stdout"))
		switch {
		case neg && err == nil:
			fault = "it succeeds"
		case !neg && err != nil:
			fault = err.Error()
		}
		if fault == "" {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s: after %v still %s", strings.Join(args, " "), patience, fault)
		}
	}
}

// jsonGet reads a field: [!] jsonget FILE PATH [NAME].
func jsonGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 || neg && len(args) == 3 {
		ts.Fatalf("usage: [!] jsonget FILE PATH [NAME]")
	}
	value, err := field(ts.ReadFile(args[0]), args[1])
	switch {
	case neg && err == nil:
		ts.Fatalf("%s has %s: %s", args[0], args[1], value)
	case neg:
	case err != nil:
		ts.Fatalf("%s: %v", args[0], err)
	case len(args) == 3:
		ts.Setenv(args[2], value)
	default:
		fmt.Fprintln(ts.Stdout(), value)
	}
}
