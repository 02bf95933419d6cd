package confine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	Main()
	if len(os.Args) > 2 && os.Args[1] == "play" {
		if err := play(os.Args[2], os.Args[3:]); err != nil {
			fmt.Println("failed:", err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// play is what this program does in a cell.
func play(part string, args []string) error {
	switch part {
	case "hog":
		return hog(args[0])
	case "files":
		var all []*os.File
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				fmt.Println(len(all), errors.Is(err, syscall.EMFILE))
				return nil
			}
			all = append(all, f)
		}
	case "spin": // until it has used so many ms of a processor
		ms, _ := strconv.Atoi(args[0])
		var u syscall.Rusage
		for u.Utime.Nano()+u.Stime.Nano() < int64(ms)*1e6 {
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
				return err
			}
		}
		return nil
	case "dial":
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		return conn.Close()
	case "get":
		// Go's own reading of the variables leaves out what is on the machine itself.
		proxy, err := url.Parse(os.Getenv("HTTP_PROXY"))
		if err != nil {
			return err
		}
		c := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
		resp, err := c.Get(args[0])
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		fmt.Print(resp.Status, " ")
		_, err = io.Copy(os.Stdout, resp.Body)
		return err
	case "socket":
		family, _ := strconv.Atoi(args[0])
		_, err := syscall.Socket(family, syscall.SOCK_DGRAM, 0)
		return err
	case "kill":
		pid, _ := strconv.Atoi(args[0])
		return syscall.Kill(pid, syscall.SIGKILL)
	case "broker":
		return broker(args)
	}
	return fmt.Errorf("no part %q", part)
}

// hog takes so many MiB and touches them.
func hog(mib string) error {
	n, err := strconv.Atoi(mib)
	var all [][]byte
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	fmt.Println("has", len(all))
	bufio.NewReader(os.Stdin).ReadByte()
	return err
}

// broker starts what the arguments say in the cell of a directory, says what that
// says, and stays.
func broker(args []string) error {
	c := New(context.Background(), Options{})
	weaken(c, args[0])
	p, err := c.Command(context.Background(), Cell{Dir: args[1], Args: args[2:], Limits: Limits{Network: []string{AllNetwork}}})
	if err != nil {
		return err
	}
	p.Stdout = os.Stdout
	if _, err := p.StdinPipe(); err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	return errors.Join(p.Wait(), p.Close())
}

// The ways of a machine which the tests can put on, from the best to the least.
const (
	asItIs     = "as it is"
	sharedUser = "one user" // namespaces, the broker's user
	noProc     = "user namespace with the machine's proc"
	noSpaces   = "no namespaces"
	noFilter   = "no namespaces, no filter"
)

// ways are those that are worth trying as the user that the tests have.
func ways() []string {
	switch {
	case raced:
		return []string{asItIs, noSpaces}
	case os.Geteuid() == 0:
		return []string{asItIs, sharedUser, noSpaces}
	}
	return []string{asItIs, noProc, noSpaces, noFilter}
}

// weaken has a Confiner do with less than the machine has.
func weaken(c *Confiner, way string) {
	inTest := errors.New("it is so in this test")
	if way != asItIs {
		c.can.ownUser = inTest
	}
	switch way {
	case noProc:
		c.can.userNS, c.can.proc = true, false
	case noSpaces:
		c.can.spaces, c.can.userNS = inTest, false
	case noFilter:
		c.can.spaces, c.can.userNS, c.can.filter = inTest, false, false
	}
}

// eachWay runs a test for each way that this machine has.
func eachWay(t *testing.T, test func(t *testing.T, c *Confiner)) { someWays(t, ways(), test) }

func someWays(t *testing.T, ways []string, test func(t *testing.T, c *Confiner)) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := New(t.Context(), Options{})
			if c.can.spaces != nil && strings.Contains(way, "user") {
				t.Skip("no namespaces here: ", c.can.spaces)
			}
			weaken(c, way)
			if c.can.spaces != nil && c.can.landlock == 0 {
				t.Skip("no Landlock here, and nothing is confined without it or namespaces")
			}
			test(t, c)
		})
	}
}

// A syncBuffer is written to while it is read.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
