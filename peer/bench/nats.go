package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// natsProgram is looked for in PATH.
const natsProgram = "nats-server"

// startNATS starts a server whose streams have every message on disk before
// they acknowledge it.
func startNATS(ctx context.Context, dir string) (*rival, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q, sync_interval: always }\n", port, filepath.Join(dir, "streams"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r, err := startRival(ctx, exec.Command(natsProgram, "-c", conf), port, natsPublisher)
	if err != nil {
		return nil, err
	}
	if err := makeStream(ctx, r.addr); err != nil {
		r.child.Kill()
		return nil, err
	}
	return r, nil
}

// makeStream creates the stream that publishers write to, in a file.
func makeStream(ctx context.Context, addr string) error {
	p, err := natsConnection(ctx, addr, "create")
	if err != nil {
		return err
	}
	defer p.conn.Close()
	config := `{"name":"BENCH","subjects":["bench.*"],"storage":"file","retention":"limits","num_replicas":1}`
	if _, err := fmt.Fprintf(p.conn, "PUB $JS.API.STREAM.CREATE.BENCH _INBOX.create %d\r\n%s\r\n", len(config), config); err != nil {
		return err
	}
	answer, err := natsMessage(p)
	if err == nil && bytes.Contains(answer, []byte(`"error"`)) {
		err = fmt.Errorf("create a stream: nats answered %s", answer)
	}
	return err
}

// natsConnection opens a connection that listens on an inbox of its own. The protocol
// is that of https://docs.nats.io/reference/reference-protocols/nats-protocol.
func natsConnection(ctx context.Context, addr, inbox string) (*publisher, error) {
	p, err := newPublisher(ctx, addr)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(p.conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"0\"}\r\nSUB _INBOX."+inbox+" 1\r\nPING\r\n")
	for err == nil {
		var line []byte
		line, err = p.r.ReadBytes('\n') // INFO may be longer than the buffer
		if bytes.HasPrefix(line, []byte("PONG")) {
			return p, nil
		}
		if bytes.HasPrefix(line, []byte("-ERR")) {
			err = fmt.Errorf("nats answered %s", bytes.TrimSpace(line))
		}
	}
	p.conn.Close()
	return nil, err
}

// natsPublisher opens a connection that publishes to the stream.
func natsPublisher(ctx context.Context, addr string, i, size int) (*publisher, error) {
	inbox := strconv.Itoa(i)
	p, err := natsConnection(ctx, addr, inbox)
	if err != nil {
		return nil, err
	}
	p.request = fmt.Appendf(nil, "PUB bench.%d _INBOX.%s %d\r\n%s\r\n", i, inbox, size, bytes.Repeat([]byte("x"), size))
	p.reply = func(p *publisher) error {
		answer, err := natsMessage(p)
		if err == nil && !bytes.Contains(answer, []byte(`"seq"`)) {
			err = fmt.Errorf("nats answered %s", answer)
		}
		return err
	}
	return p, nil
}

// natsMessage reads the next message, and answers pings on the way.
func natsMessage(p *publisher) ([]byte, error) {
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			line = bytes.TrimSpace(line)
			size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			if err != nil || size < 0 || size > maxReceived {
				return nil, fmt.Errorf("nats sent %q", line)
			}
			body := make([]byte, size+len("\r\n"))
			_, err = io.ReadFull(p.r, body)
			return body[:size], err
		case bytes.HasPrefix(line, []byte("PING")):
			if _, err := io.WriteString(p.conn, "PONG\r\n"); err != nil {
				return nil, err
			}
		case bytes.HasPrefix(line, []byte("-ERR")):
			return nil, fmt.Errorf("nats answered %s", bytes.TrimSpace(line))
		}
	}
}
