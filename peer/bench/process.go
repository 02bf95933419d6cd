package bench

import (
	"context"
	"os"
	"os/exec"

	"claudemesh/peer/cli"
)

// startBare starts the bare server and returns its address.
func startBare(ctx context.Context) (*cli.Child, string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	c, err := cli.StartChild(exec.Command(program, "bench", "echo"))
	if err != nil {
		return nil, "", err
	}
	addr, err := c.Ready(ctx)
	if err != nil {
		c.Kill()
		return nil, "", err
	}
	return c, addr, nil
}
