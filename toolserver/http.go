package toolserver

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/mark3labs/mcp-go/client/transport"
)

// overHTTP returns the transport to an endpoint. Its headers go nowhere else:
// it does not follow redirections.
func overHTTP(url string, headers map[string]string) (*transport.StreamableHTTP, error) {
	c := &http.Client{
		Transport:     limitedTrip{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return transport.NewStreamableHTTP(url, transport.WithHTTPBasicClient(c), transport.WithHTTPHeaders(headers),
		transport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
}

// A limitedTrip lets no response have more than maxLine bytes.
type limitedTrip struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limitedTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &limitedBody{ReadCloser: res.Body, left: maxLine}
	return res, nil
}

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the server's answer has more than %d bytes", maxLine)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
