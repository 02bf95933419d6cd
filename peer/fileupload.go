package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	stallAfter  = time.Minute     // a transfer without progress is given up, or begun again
	settleAfter = 5 * time.Minute // for the broker to have on disk what it received
)

// A fileUpload is the request that carries a file.
type fileUpload struct {
	header http.Header
	source io.Reader
	size   int64 // bytes of source
	body   *summed
}

// upload sends a file. It ends when there is no progress for a while, not at
// a certain time.
func (a *API) upload(ctx context.Context, up *fileUpload) (res wire.UploadResult, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallAfter, func() { cancel(errStalled) })
	defer stall.Stop()
	up.body.moved = func(done bool) {
		if done {
			stall.Reset(settleAfter)
			return
		}
		stall.Reset(stallAfter)
	}
	if up.size == 0 {
		sum := sha256.Sum256(nil) // says that it is meant to be empty
		up.header.Set(wire.HeaderSHA256, fmt.Sprintf("%x", sum))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/upload", up.body)
	if err != nil {
		return res, err
	}
	req.Header, req.ContentLength = up.header, up.size
	if up.size == 0 {
		req.Body = http.NoBody
		up.body.Close()
	} else {
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return res, a.brokeOff(ctx, up.body, err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPReply))
	if err != nil {
		return res, a.brokeOff(ctx, up.body, err)
	}
	r := request{method: http.MethodPost, path: "/upload"}
	if err := a.decode(r, resp, p, &res); err != nil {
		return res, a.uploadRefusal(resp, p, err)
	}
	<-up.body.closed // nobody reads, and sums, any more
	return res, nil
}

// uploadRefusal says what a refusal of the upload was.
func (a *API) uploadRefusal(resp *http.Response, p []byte, err error) error {
	if json.Valid(p) {
		return err
	}
	return fmt.Errorf("%s answered the upload with status %d, and not as a broker does: is there a proxy that limits uploads?", a.base, resp.StatusCode)
}

var errStalled = errors.New("nothing moved for a minute")

// brokeOff says why an upload failed: because of the file, the network, or
// whoever ended it.
func (a *API) brokeOff(ctx context.Context, body *summed, err error) error {
	if cause := body.failure(); cause != nil {
		return cause
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("the upload broke off, and nothing was kept; share the file again: %w", &unreachable{a.base, err})
}

// A summed reader is the body of an upload: it computes the sum of what leaves.
type summed struct {
	from     io.Reader
	sum      hash.Hash
	done     int64
	total    int64
	progress func(done, total int64)
	moved    func(done bool)
	closed   chan struct{} // closed when the transport has done with it
	once     sync.Once

	mu  sync.Mutex // guards err
	err error      // of from
}

func newSummed(from io.Reader, total int64, progress func(done, total int64)) *summed {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	return &summed{from: from, sum: sha256.New(), total: total, progress: progress, closed: make(chan struct{})}
}

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.sum.Write(p[:n])
	s.done += int64(n)
	s.progress(s.done, s.total)
	s.moved(s.done == s.total)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

// Close implements io.Closer.
func (s *summed) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *summed) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// exactly reads as many bytes as a file had, and fails if there are fewer.
type exactly struct {
	from io.Reader
	left int64
	name string
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = fmt.Errorf("%s became smaller while it was read: share it when it is complete", e.name)
	}
	return n, err
}

// A sealing reader gives the stream of what it reads.
type sealing struct {
	from io.Reader
	to   *seal.StreamWriter
	out  bytes.Buffer
	buf  []byte
	end  error
}

func newSealing(from io.Reader, key *[32]byte) (*sealing, error) {
	s := &sealing{from: from, buf: make([]byte, 64<<10)}
	var err error
	s.to, err = seal.NewStreamWriter(&s.out, key)
	return s, err
}

// Read implements io.Reader.
func (s *sealing) Read(p []byte) (int, error) {
	for s.out.Len() == 0 && s.end == nil {
		n, err := s.from.Read(s.buf)
		if _, e := s.to.Write(s.buf[:n]); e != nil {
			err = e
		}
		if errors.Is(err, io.EOF) {
			err = errors.Join(s.to.Close(), io.EOF)
		}
		s.end = err
	}
	if s.out.Len() > 0 {
		return s.out.Read(p)
	}
	if errors.Is(s.end, io.EOF) {
		return 0, io.EOF
	}
	return 0, s.end
}
