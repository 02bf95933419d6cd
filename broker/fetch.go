package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	maxRedirects      = 5
	maxResponseHeader = 64 << 10 // bytes
	maxRetryAfter     = time.Hour
	userAgent         = "claudemesh-watch/1"
)

// A fetcher looks at URLs. Whatever a member names and a server answers, it
// connects to admitted addresses alone, reads at most wire.MaxWatchBody bytes,
// unpacks nothing, and is done when its context ends.
type fetcher struct {
	guard    netGuard
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	client   *http.Client
	decoding sync.Mutex // a body decodes to many times its size: one at a time
}

func newFetcher(guard netGuard, resolver *net.Resolver) *fetcher {
	f := &fetcher{guard: guard}
	dialer := &net.Dialer{Control: guard.control, Resolver: resolver, KeepAlive: -1}
	f.dial = dialer.DialContext
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, network, addr string) (net.Conn, error) { return f.dial(ctx, network, addr) },
			DisableKeepAlives:  true, // no goroutine or socket outlives a look
			DisableCompression: true,
			// MaxResponseHeaderBytes also bounds what comes before a status.
			MaxResponseHeaderBytes: maxResponseHeader,
		},
		CheckRedirect: f.redirect,
	}
	return f
}

// redirect follows a redirection, at most maxRedirects times. What a member
// gave for one origin does not go to another.
func (f *fetcher) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirections", maxRedirects)
	}
	if err := f.checkURL(req.URL); err != nil {
		return errAddress
	}
	req.Header.Del("Referer") // may hold a secret of the URL
	for _, r := range via {
		if originOf(r.URL) != originOf(req.URL) {
			req.Header = http.Header{"User-Agent": {userAgent}}
			break
		}
	}
	return nil
}

// originOf is the part of a URL that a header was given for.
func originOf(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }

// checkURL refuses a URL that is never looked at.
func (f *fetcher) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return wire.Errorf(wire.BadRequest, "url must begin with http:// or https:// and name a host")
	case u.User != nil:
		return wire.Errorf(wire.BadRequest, "url must not have a name or password: give a header Authorization")
	}
	return f.guard.checkHost(u.Hostname())
}

// A look is what is to be seen of a URL.
type look struct {
	url            string
	mode           wire.WatchMode
	extract        path // of the mode json
	whole          bool // extract is the whole body
	header         http.Header
	etag, modified string // of what is known, empty for none
}

// A sight is what was seen.
type sight struct {
	value          string
	unchanged      bool // the server says so
	etag, modified string
	retryAfter     time.Duration // after a failure, if the server says
}

// errStatus is an answer that says nothing of what is watched.
type errStatus int

func (e errStatus) Error() string { return "the server answered " + strconv.Itoa(int(e)) }

// look makes one request, redirections included.
func (f *fetcher) look(ctx context.Context, l *look) (sight, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return sight{}, plainly(err)
	}
	req.Header = l.header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	if l.mode != wire.WatchStatus {
		setIf(req.Header, "If-None-Match", l.etag)
		setIf(req.Header, "If-Modified-Since", l.modified)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return sight{}, plainly(err)
	}
	defer res.Body.Close()
	if l.mode == wire.WatchStatus {
		return sight{value: strconv.Itoa(res.StatusCode)}, nil
	}
	s := sight{etag: validator(res.Header.Get("ETag")), modified: validator(res.Header.Get("Last-Modified"))}
	switch {
	case res.StatusCode == http.StatusNotModified && l.etag+l.modified != "":
		return sight{unchanged: true, etag: l.etag, modified: l.modified}, nil
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		return sight{retryAfter: retryAfter(res.Header)}, errStatus(res.StatusCode)
	case res.StatusCode != http.StatusOK:
		s.etag, s.modified = "", "" // of no use with another
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return sight{}, errors.New("the server sent a compressed body that nobody asked for")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, wire.MaxWatchBody+1))
	if err != nil {
		return sight{}, plainly(err)
	}
	if len(body) > wire.MaxWatchBody {
		return sight{}, fmt.Errorf("the body has more than %d bytes", wire.MaxWatchBody)
	}
	s.value = f.valueOf(body, l)
	return s, nil
}

func setIf(h http.Header, name, value string) {
	if value != "" && h.Get(name) == "" {
		h.Set(name, value)
	}
}

// validator returns an ETag or Last-Modified that is short enough to be kept.
func validator(v string) string {
	if len(v) > wire.MaxWatchValue || wire.HasControl(v) {
		return ""
	}
	return v
}

// retryAfter reads the header of that name, seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, min(time.Until(at), maxRetryAfter))
	}
	return 0
}

// valueOf is what the mode sees of a body.
func (f *fetcher) valueOf(body []byte, l *look) string {
	if l.mode != wire.WatchJSON || l.extract == nil && !l.whole {
		sum := sha256.Sum256(body)
		return hex.EncodeToString(sum[:8])
	}
	f.decoding.Lock()
	defer f.decoding.Unlock()
	v, err := decodeJSON(body)
	if err != nil {
		return cut(strings.ToValidUTF8(string(body), "\uFFFD"), wire.MaxWatchValue)
	}
	return valueText(l.extract.in(v))
}

// cut cuts s to n characters.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// plainly says why a request failed, without addresses of networks that are
// not the member's.
func plainly(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the name of the host cannot be resolved")
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errAddress):
		return errAddress
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no full answer within %d s", int(wire.WatchDeadline/time.Second))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return errors.New(clean(err.Error(), wire.MaxWatchValue))
}
