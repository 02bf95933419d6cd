package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"claudemesh/peer/cli"
)

func TestTheBrokerLogsForWhoeverReads(t *testing.T) {
	for _, tt := range []struct {
		terminal, verbose bool
		says, lacks       string
	}{
		{true, false, "level=WARN msg=fault", "start"},
		{true, true, "level=DEBUG msg=detail", "{"},
		{false, false, `"level":"INFO","msg":"start"`, "detail"},
		{false, true, `"level":"DEBUG","msg":"detail"`, "level="},
	} {
		var out bytes.Buffer
		log := slog.New(logHandler(&cli.Env{Stderr: &out, IsTerminal: func(any) bool { return tt.terminal }}, tt.verbose))
		log.Warn("fault")
		log.Info("start")
		log.Debug("detail")
		if s := out.String(); !strings.Contains(s, tt.says) || strings.Contains(s, tt.lacks) {
			t.Errorf("terminal %v, verbose %v: %s", tt.terminal, tt.verbose, s)
		}
	}
}

func TestAnAddressIsHostAndPort(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:7900": true, ":0": true, "[::1]:80": true, "host:http": true,
		"foo": false, "": false, "127.0.0.1": false, "127.0.0.1:99999": false, "::1:80": false, "a:b:c": false, "host:nosuchservice": false,
	} {
		if err := checkListen(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestTheHintFitsWhatKeepsTheBrokerFromListening(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EADDRINUSE: "another program", syscall.EACCES: "another program",
		syscall.EADDRNOTAVAIL: "does not have that address", syscall.EMFILE: "",
	} {
		var got string
		if hint, ok := listenHint(fmt.Errorf("listen: %w", err)).(*cli.HintError); ok {
			got = hint.Hint
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
