package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
)

// redisProgram is looked for in PATH.
const redisProgram = "redis-server"

// startRedis starts a server that has every write on disk before it answers.
func startRedis(ctx context.Context, dir string) (*rival, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(redisProgram, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no")
	return startRival(ctx, cmd, port, redisPublisher)
}

// redisPublisher opens a connection that adds entries to a stream with XADD. The
// protocol is RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/.
func redisPublisher(ctx context.Context, addr string, _ int, size int) (*publisher, error) {
	p, err := newPublisher(ctx, addr)
	if err != nil {
		return nil, err
	}
	p.request = fmt.Appendf(nil, "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nm\r\n$%d\r\n%s\r\n", size, bytes.Repeat([]byte("x"), size))
	p.reply = redisReply
	return p, nil
}

// redisReply reads the id of the new entry, a bulk string.
func redisReply(p *publisher) error {
	line, err := p.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if line[0] != '$' {
		return fmt.Errorf("redis answered %q", bytes.TrimSpace(line))
	}
	if line, err = p.r.ReadSlice('\n'); err == nil && len(line) < 3 {
		return errors.New("redis answered without an id")
	}
	return err
}
