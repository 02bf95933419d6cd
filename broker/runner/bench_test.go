//go:build unix

package runner

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"claudemesh/wire"
)

// BenchmarkCall measures a call of a service that answers at once, beside a
// bare line to that program and one back.
func BenchmarkCall(b *testing.B) {
	b.Run("service", func(b *testing.B) {
		s := plays(b)
		s.deploys("db", habits())
		s.expect(Building, Installing, Running)
		args := wire.Value(`{"x":1}`)
		for b.Loop() {
			if _, err := s.Call(b.Context(), "db", "echo", args); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pipe", func(b *testing.B) {
		cmd := exec.Command(os.Args[0], playing)
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for b.Loop() {
			in.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":1}}}` + "\n"))
			if _, err := lines.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
		in.Close()
		cmd.Wait()
	})
}
