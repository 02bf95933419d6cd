package lend

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"claudemesh/peer"
	"claudemesh/toolserver"
)

// open starts the program of a server, or prepares for its URL.
func open(ctx context.Context, from peer.ToolServer, opts toolserver.Options) (*toolserver.Server, error) {
	if from.URL != "" {
		return toolserver.Dial(ctx, from.URL, from.Headers, opts)
	}
	if from.Command == "" {
		return nil, errors.New("its entry in the configuration has neither a command nor a url")
	}
	cmd := exec.Command(from.Command, from.Args...)
	cmd.Env = environment(from.Env)
	cmd.Dir = from.Dir
	if home, err := os.UserHomeDir(); cmd.Dir == "" && err == nil {
		cmd.Dir = home
	}
	toolserver.Apart(cmd)
	return toolserver.Start(ctx, cmd, opts)
}

// environment is what a server sees: where programs, files and the user are,
// and what its entry says. No secret of the session's is in it.
func environment(extra map[string]string) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
		"SystemRoot", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "PATHEXT", "COMSPEC",
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range extra {
		env = append(env, name+"="+v)
	}
	return env
}
