package cli

import (
	"context"
	"errors"
	"flag"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// logsEvery is how often what follows is asked for.
const logsEvery = time.Second

func logsCommand() Command {
	var lines int
	var follow bool
	return Command{
		Name: "logs", Theme: Share, Args: "<name>", Short: "Show what a service has written, and what was done to build it",
		Long: `For who deployed it, and admins. The broker keeps the last 1000 lines. With --follow
it goes on until it is interrupted, over lost connections too.`,
		Examples: []string{"claudemesh logs db", "claudemesh logs db -n 200", "claudemesh logs db --follow"},
		Mesh:     true, JSON: true, Output: wire.MCPLogsResult{},
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&lines, "lines", 50, "begin with so many of the last lines, a `number`")
			fs.BoolVar(&follow, "follow", false, "print what is written from now on, too")
			Alias(fs, "n", "lines")
			Alias(fs, "f", "follow")
		},
		Complete: map[string]Completer{"name": serviceNames},
		Run: func(ctx context.Context, env *Env, args []string) error {
			if lines < 1 || lines > wire.MaxServiceLog {
				return Usagef("--lines must be 1 to %d", wire.MaxServiceLog)
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				l := serviceLog{env: env, name: args[0], follows: follow}
				err := l.more(ctx, c, wire.MCPLogs{ServerName: l.name, Lines: lines})
				if err != nil || !follow {
					return noService(err)
				}
				return noService(l.follow(ctx, c))
			})
		},
	}
}

// A serviceLog prints a log, each line once.
type serviceLog struct {
	env     *Env
	name    string
	follows bool // it goes on
	next    int64
	status  wire.ServiceStatus
}

// more asks for lines and prints them.
func (l *serviceLog) more(ctx context.Context, c *peer.Client, req wire.MCPLogs) error {
	res, err := peer.Call(ctx, c, req)
	if err != nil {
		return err
	}
	if res.Next < req.After { // another broker's count, or another service's of that name
		res.Next = 0
	}
	if l.status != "" && res.Status != l.status {
		l.env.Err().Printf("%s is %s\n", l.name, res.Status)
	}
	again := l.status != "" && len(res.Lines) == 0
	l.next, l.status = res.Next, res.Status
	switch {
	case again:
		return nil
	case l.env.JSON && l.follows:
		return l.env.Out().JSONLine(res)
	case l.env.JSON:
		return l.env.Out().JSON(res)
	}
	for _, line := range res.Lines {
		l.env.Out().Text(line)
	}
	return nil
}

// follow prints what comes until ctx ends.
func (l *serviceLog) follow(ctx context.Context, c *peer.Client) error {
	ticker := time.NewTicker(logsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := l.env.out.err; err != nil {
			return err
		}
		err := l.more(ctx, c, wire.MCPLogs{ServerName: l.name, Lines: wire.MaxServiceLog, After: l.next})
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, peer.ErrNotConnected), errors.Is(err, peer.ErrLost), errors.Is(err, peer.ErrTimeout):
			continue // the client connects again
		case err != nil:
			return err
		}
	}
}
