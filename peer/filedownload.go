package peer

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"claudemesh/wire"
)

const (
	resumeFor   = 2 * time.Minute // without a byte, before a download is given up
	resumeFirst = 100 * time.Millisecond
	resumeMost  = 5 * time.Second // between two attempts
)

// A download reads the content of a file, over as many connections as it takes.
type download struct {
	client   *Client
	at       wire.FileURL
	progress func(done, total int64)
	sum      hash.Hash

	body   io.ReadCloser
	end    func() // of the connection that body comes over
	stall  *time.Timer
	offset int64
	size   int64 // of the whole, 0 if unknown
	tag    string
	stuck  time.Time // when progress stopped, zero while there is some
	wait   time.Duration
}

// read returns the next bytes. It returns io.EOF when all have come.
func (d *download) read(ctx context.Context, p []byte) (int, error) {
	for {
		if d.body == nil {
			if err := d.open(ctx); err != nil {
				if err := d.again(ctx, err); err != nil {
					return 0, err
				}
				continue
			}
		}
		n, err := d.body.Read(p)
		if n > 0 {
			d.advance(p[:n])
			return n, nil // what ended it, if anything, comes again
		}
		if errors.Is(err, io.EOF) && (d.size == 0 || d.offset >= d.size) {
			return 0, io.EOF
		}
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		d.close()
		if err := d.again(ctx, &broken{err}); err != nil {
			return 0, err
		}
	}
}

func (d *download) advance(p []byte) {
	d.sum.Write(p)
	d.offset += int64(len(p))
	d.stuck, d.wait = time.Time{}, 0
	d.stall.Reset(stallAfter)
	if d.progress != nil {
		d.progress(d.offset, d.size)
	}
}

// close ends the connection.
func (d *download) close() {
	if d.body != nil {
		d.body.Close()
		d.end()
		d.body = nil
	}
}

// again waits until the next attempt, unless the failure is one that no
// attempt mends, or there have been attempts for long enough.
func (d *download) again(ctx context.Context, err error) error {
	if _, final := errors.AsType[*finalError](err); final || ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	now := time.Now()
	if d.stuck.IsZero() {
		d.stuck = now
	}
	if now.Sub(d.stuck) > resumeFor {
		return fmt.Errorf("the download of %s broke off after %d bytes: %w", wire.CleanFileName(d.at.Name), d.offset, err)
	}
	d.client.log.Debug("download interrupted", "file", d.at.FileID, "at", d.offset, "err", err)
	d.wait = min(max(2*d.wait, resumeFirst), resumeMost)
	timer := time.NewTimer(d.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A finalError is one that another attempt does not mend.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// open makes a connection that goes on where the last one ended.
func (d *download) open(ctx context.Context) error {
	api, err := d.client.opts.Mesh.API()
	if err != nil {
		return &finalError{err}
	}
	address, err := d.address(api)
	if err != nil {
		return &finalError{err}
	}
	attempt, cancel := context.WithCancel(ctx)
	d.stall = time.AfterFunc(stallAfter, cancel)
	end := func() { d.stall.Stop(); cancel() }
	req, err := http.NewRequestWithContext(attempt, http.MethodGet, address, nil)
	if err != nil {
		end()
		return &finalError{errors.New("the broker gave an address that is none")}
	}
	if d.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
		if d.tag != "" {
			req.Header.Set("If-Range", d.tag)
		}
	}
	resp, err := api.client.Do(req)
	if err != nil {
		end()
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which is a secret
		}
		return &unreachable{api.base, err}
	}
	if err := d.accept(resp); err != nil {
		resp.Body.Close()
		end()
		if errors.Is(err, errStaleAddress) {
			return d.renew(ctx)
		}
		return err
	}
	d.body, d.end = resp.Body, end
	return nil
}

// address returns where the content is. A broker of this version serves it
// itself, and the way to it that this client knows is the one that works.
func (d *download) address(api *API) (string, error) {
	u, err := url.Parse(d.at.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the broker gave an address that is none")
	}
	if d.client.Hello().Proto >= wire.Proto && strings.HasPrefix(u.Path, "/download/") {
		return api.base + u.RequestURI(), nil
	}
	return d.at.URL, nil
}

// errStaleAddress reports that the address of a file has expired.
var errStaleAddress = errors.New("the address of the file has expired")

// accept takes the head of an answer.
func (d *download) accept(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK && d.offset == 0:
		d.size, d.tag = max(resp.ContentLength, 0), resp.Header.Get("ETag")
		if d.at.Size > 0 && d.size > 0 && d.at.Size != d.size {
			return &finalError{fmt.Errorf("the broker says that the file has %d bytes, and sends %d", d.at.Size, d.size)}
		}
		d.size = max(d.size, d.at.Size)
		return nil
	case code == http.StatusPartialContent && d.goesOn(resp):
		return nil
	case code == http.StatusOK || code == http.StatusPartialContent || code == http.StatusRequestedRangeNotSatisfiable:
		return &finalError{errors.New("the file at the broker is not the one that was begun: fetch it again")}
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return errStaleAddress
	case code == http.StatusTooManyRequests || code >= 500:
		return refused(resp)
	}
	return &finalError{refused(resp)}
}

// goesOn reports whether a part begins where the last one ended.
func (d *download) goesOn(resp *http.Response) bool {
	return d.offset > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.offset))
}

// refused makes an error of an answer that is none.
func refused(resp *http.Response) error {
	p, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // without one the status must do
	var head wire.HTTPResult
	if json.Unmarshal(p, &head) != nil {
		head = wire.HTTPResult{}
	}
	return httpRefusal(request{method: http.MethodGet, path: "the file"}, resp.StatusCode, head)
}

// renew asks for another address of the same file. Its error is never nil: the
// next attempt is made with what it found.
func (d *download) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, resumeFor)
	defer cancel()
	if err := d.client.Ready(ctx); err != nil {
		return err
	}
	at, err := Call(ctx, d.client, wire.GetFile{FileID: d.at.FileID})
	if _, refused := errors.AsType[*wire.Error](err); refused {
		return &finalError{err}
	}
	if err != nil {
		return err
	}
	if at.SHA256 != d.at.SHA256 {
		return &finalError{errors.New("the file at the broker is not the one that was begun: fetch it again")}
	}
	d.at.URL = at.URL
	return errStaleAddress
}

// check holds what has come to what the broker has stored.
func (d *download) check() error {
	if got := hex.EncodeToString(d.sum.Sum(nil)); d.at.SHA256 != "" && got != d.at.SHA256 {
		return fmt.Errorf("%s was altered on the way: its SHA-256 is %s, and should be %s; nothing was kept", wire.CleanFileName(d.at.Name), got, d.at.SHA256)
	}
	return nil
}
