package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	maxAnswer   = 4 << 20 // bytes of a line
	keptErrors  = 2 << 10 // of the server's standard error
	serverGrace = 2 * time.Second
)

// A stdioClient is the client of an MCP server that it started, with one call
// at a time.
type stdioClient struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan []byte // answers; closed when the server's output ends
	stderr *tail
	next   int
	quit   chan struct{} // closed by stop
	once   sync.Once     // stops it
	done   chan struct{} // closed when the reader has ended
}

// dialStdio starts the server. The caller calls stop.
func dialStdio(cmd *exec.Cmd) (*stdioClient, error) {
	s := &stdioClient{cmd: cmd, lines: make(chan []byte), stderr: &tail{max: keptErrors}, quit: make(chan struct{}), done: make(chan struct{})}
	cmd.Stderr = s.stderr
	cmd.WaitDelay = serverGrace
	var err error
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go s.read(out)
	return s, nil
}

func (s *stdioClient) read(out io.Reader) {
	defer close(s.done)
	defer close(s.lines)
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, maxAnswer)
	for scan.Scan() {
		select {
		case s.lines <- append([]byte(nil), scan.Bytes()...):
		case <-s.quit:
			return
		}
	}
}

// stop ends the server, if it has not ended, and waits for it.
func (s *stdioClient) stop() {
	s.once.Do(func() {
		s.stdin.Close()
		close(s.quit)
		late := time.AfterFunc(serverGrace, func() { s.cmd.Process.Kill() })
		<-s.done
		s.cmd.Wait()
		late.Stop()
	})
}

// explain stops the server, for only then all that it said is known, and adds to
// an error what it said on its standard error.
func (s *stdioClient) explain(err error) error {
	s.stop()
	if said := strings.TrimSpace(s.stderr.String()); said != "" {
		return fmt.Errorf("the MCP server does not work: %w; it says: %s", err, said)
	}
	return fmt.Errorf("the MCP server does not work: %w", err)
}

type rpcMessage struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      *int            `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

func (s *stdioClient) send(m rpcMessage) error {
	m.JSONRPC = "2.0"
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = s.stdin.Write(append(line, '\n'))
	return err
}

func (s *stdioClient) notify(method string) error { return s.send(rpcMessage{Method: method}) }

// call asks the server and passes over all it says beside the answer.
func (s *stdioClient) call(ctx context.Context, method string, params, res any) error {
	id := s.next
	s.next++
	if err := s.send(rpcMessage{ID: &id, Method: method, Params: params}); err != nil {
		return fmt.Errorf("%s: it ended: %w", method, err)
	}
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return fmt.Errorf("%s: it ended without an answer", method)
			}
			var m rpcMessage
			if json.Unmarshal(line, &m) != nil || m.ID == nil || *m.ID != id || m.Method != "" {
				continue
			}
			if m.Error != nil {
				return errors.New(method + ": " + m.Error.Message)
			}
			return decodeResult(m.Result, res)
		case <-ctx.Done():
			return fmt.Errorf("%s: no answer in time", method)
		}
	}
}
