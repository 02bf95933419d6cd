package confine

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// reachable has cells reach the tests' servers, which are on the machine itself.
func reachable(c *Confiner) *Confiner {
	c.opts.Admits = func(a netip.Addr) bool { return a.IsLoopback() }
	c.opts.Upstream = func(*http.Request) (*url.URL, error) { return nil, nil }
	return c
}

func TestTheNetworkOfACellIsWhatItsLimitsSay(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello from "+r.Host) }))
	t.Cleanup(plain.Close)
	address := plain.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	for _, test := range []struct {
		name    string
		network []string
		part    []string
		want    string
		ok      bool
	}{
		{"none", nil, []string{"dial", address}, "failed: ", false},
		{"none of a list", []string{}, []string{"dial", address}, "failed: ", false},
		{"all", []string{AllNetwork}, []string{"dial", address}, "", true},
		{"a list past the proxy", []string{address}, []string{"dial", address}, "failed: ", false},
		{"a list", []string{"localhost.localdomain:" + port, address}, []string{"get", "http://" + address}, "200 OK hello from " + address, true},
		{"another list", []string{"example.com"}, []string{"get", "http://" + address}, "403 Forbidden claudemesh: this service may not reach", true},
		{"a port not listed", []string{"127.0.0.1"}, []string{"get", "http://" + address}, "403 Forbidden", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, c *Confiner) {
				cell := playing(t, test.part...)
				cell.Limits.Network = test.network
				if c.can.spaces != nil && !cell.Limits.allNetwork() {
					if _, err := c.Command(t.Context(), cell); err == nil || !strings.Contains(err.Error(), "cannot be enforced") {
						t.Errorf("%v", err)
					}
					return
				}
				out, err := run(t, reachable(c), cell)
				if (err == nil) != test.ok || !strings.HasPrefix(out, test.want) {
					t.Errorf("%v: %s", err, out)
				}
			})
		})
	}
}

func TestTheProxyOfACellEndsWithIt(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		if c.can.spaces != nil {
			t.Skip("no namespaces")
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cell := newCell(t, "sh", "-c", "echo up; read x")
		cell.Limits.Network = []string{l.Addr().String()}
		p := started(t, reachable(c), t.Context(), cell)
		p.Cancel()
		p.Wait()
		p.Close() // waits for all that serves it
	})
}
