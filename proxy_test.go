package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A proxy stands between a peer and a broker and can fall silent: its sockets
// stay open, but nothing goes through any more.
type proxy struct {
	url    string
	silent atomic.Bool
}

func startProxy(t *testing.T, broker string) *proxy {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "ws://" + ln.Addr().String() + "/ws"}
	var mu sync.Mutex
	var open []net.Conn
	over := false
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", broker)
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			if over { // nobody closes these any more
				in.Close()
				out.Close()
			}
			open = append(open, in, out)
			mu.Unlock()
			wg.Go(func() { io.Copy(in, p.through(out)) })
			wg.Go(func() { io.Copy(out, p.through(in)) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		over = true
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// silence stops all traffic.
func (p *proxy) silence() { p.silent.Store(true) }

// through reads from c, and swallows what comes once the proxy is silent.
func (p *proxy) through(c net.Conn) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		for {
			n, err := c.Read(b)
			if err != nil || !p.silent.Load() {
				return n, err
			}
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
