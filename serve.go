package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"claudemesh/broker"
	"claudemesh/peer/cli"
)

// serveCommand runs the broker.
func serveCommand() cli.Command {
	cfg := broker.Defaults()
	var config string
	var verbose bool
	return cli.Command{
		Name:  "serve",
		Theme: cli.Serve,
		Short: "Run the broker of your meshes on this machine",
		Long: `Everything is kept in one data directory, which one broker at a time may use.
The first start makes the mesh "home", makes you its first member and prints
a link with which others join. Every flag may also be given in the environment
as CLAUDEMESH_<FLAG> or in the file that --config names, one "flag value" on a
line; the command line wins over the environment, and that over the file.

At a terminal only what is wrong is logged, as text; elsewhere the log is JSON,
a line for each event.`,
		Examples: []string{
			"claudemesh serve",
			"claudemesh serve --listen 0.0.0.0:7900 --public-url https://mesh.example.com",
			"claudemesh serve --data /var/lib/claudemesh --config /etc/claudemesh.conf",
		},
		JSON:     true,
		Output:   cli.Serving{},
		EnvFlags: []string{"*"},
		Flags: func(fs *flag.FlagSet) {
			cfg.Flags(fs)
			fs.StringVar(&config, "config", "", "read flags from `file`")
			fs.BoolVar(&verbose, "verbose", false, "log what is of use to whoever looks for a fault")
		},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			cfg.Log = slog.New(logHandler(env, verbose))
			build := cli.ThisBuild()
			cfg.Version, cfg.GitSHA = build.Version, build.Revision
			return serve(ctx, env, cfg)
		},
	}
}

// serve runs a broker until ctx ends.
func serve(ctx context.Context, env *cli.Env, cfg broker.Config) (err error) {
	if cfg.Data, err = dataDir(cfg.Data); err != nil {
		return err
	}
	if err := errors.Join(checkListen(cfg.Listen), cfg.Check()); err != nil {
		return cli.Usagef("%v", err)
	}
	srv, err := broker.Open(ctx, cfg)
	if err != nil {
		return openHint(err)
	}
	ln, err := srv.Listen(ctx)
	if err != nil {
		return errors.Join(listenHint(err), srv.Close())
	}
	welcomed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		err := welcome(ctx, env, srv, ln, cfg.Data)
		if err != nil {
			stop() // a broker that nobody can use is not left running
		}
		welcomed <- err
	}()
	err = srv.Serve(ctx, ln)
	stop()
	return errors.Join(<-welcomed, err)
}

// logHandler returns how the broker logs: for a person what is wrong, for
// programs all as JSON, and more of it with verbose.
func logHandler(env *cli.Env, verbose bool) slog.Handler {
	level, terminal := slog.LevelInfo, env.IsTerminal(env.Stderr)
	switch {
	case verbose:
		level = slog.LevelDebug
	case terminal:
		level = slog.LevelWarn
	}
	if terminal {
		return slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level})
	}
	return slog.NewJSONHandler(env.Stderr, &slog.HandlerOptions{Level: level})
}

// checkListen says what is wrong with the form of an address.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("--listen must be host:port, such as 127.0.0.1:7900, not %q", address)
	}
	return nil
}

// listenHint says what to do about an address that cannot be had.
func listenHint(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EACCES):
		return cli.WithHint(err, "another program has this address, or you may not use it: try --listen 127.0.0.1:0")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return cli.WithHint(err, "this machine does not have that address: --listen 0.0.0.0:7900 takes all that it has")
	}
	return err
}

// openHint says in plain words what keeps a broker from its data.
func openHint(err error) error {
	err = plain{err}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return cli.WithHint(err, "choose another directory with --data")
	}
	return err
}

// plain is an error without the names of packages in its text.
type plain struct{ err error }

func (p plain) Error() string { return strings.ReplaceAll(p.err.Error(), "store: ", "") }
func (p plain) Unwrap() error { return p.err }

// welcome sets the broker up on its first start, and says how to go on.
func welcome(ctx context.Context, env *cli.Env, srv *broker.Server, ln net.Listener, data string) error {
	w := cli.Serving{URL: srv.SocketURL(), Listen: ln.Addr().String(), Data: data}
	if srv.Vacant() {
		home, err := cli.FirstStart(ctx, env, w.URL, srv.AdminToken())
		if err != nil {
			return err
		}
		w.Home = home
	}
	if err := cli.Relocate(ctx, env, w.URL, srv.MeshIDs()); err != nil {
		return err
	}
	return cli.PrintServing(env, w)
}

// dataDir returns the data directory as an absolute path: $HOME/.claudemesh/broker
// unless it is given.
func dataDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", cli.WithHint(errors.New("no home directory to keep the data in"), "name a directory with --data")
	}
	return filepath.Join(home, ".claudemesh", "broker"), nil
}
