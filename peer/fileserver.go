package peer

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"claudemesh/peer/share"
	"claudemesh/wire"
)

const (
	fileWorkers  = 2       // requests of peers that are served at once
	fileQueue    = 32      // that wait for a worker
	filesByPeer  = 60      // of one peer in a minute
	filesByAll   = 240     // of all of them
	maxFilePeers = 1000    // told apart in a minute
	maxUnsent    = 4 << 20 // bytes that wait for the socket
)

// What peers are told whose requests are not served.
const (
	filesTooMany = "too many requests: wait a minute"
	filesBusy    = "this peer is busy: ask again in a moment"
	filesUnsaid  = "read error: the access cannot be logged on this peer"
)

// A fileServer reads files for other peers, beside the reader of the
// connection, with few goroutines that live while there is something to do.
type fileServer struct {
	workers sync.WaitGroup

	mu      sync.Mutex
	waiting []func()
	working int
	minute  time.Time // when counting began
	all     int       // requests since
	by      map[string]int
}

// do has job done by a worker. It reports whether there is room for it.
func (s *fileServer) do(job func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= fileQueue {
		return false
	}
	s.waiting = append(s.waiting, job)
	if s.working < fileWorkers {
		s.working++
		s.workers.Go(s.work)
	}
	return true
}

func (s *fileServer) work() {
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.working--
			s.mu.Unlock()
			return
		}
		job := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.mu.Unlock()
		job()
	}
}

// allow counts a request of a peer and reports whether it is one too many.
func (s *fileServer) allow(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.minute) >= time.Minute {
		s.minute, s.all, s.by = now, 0, make(map[string]int)
	}
	if s.all >= filesByAll || s.by[key] >= filesByPeer || len(s.by) >= maxFilePeers {
		return false
	}
	s.all++
	s.by[key]++
	return true
}

// fileAsked and dirAsked serve the requests that the broker relays.
func (c *Client) fileAsked(reqID string, f *wire.PeerFileRequestForward) {
	res := wire.PeerFileResponse{RequesterPubkey: f.RequesterPubkey, FilePath: f.FilePath}
	c.serveFiles(reqID, f.RequesterPubkey, Access{Kind: "file", Path: f.FilePath},
		func(dirs share.Dirs) (int, error) {
			data, err := dirs.File(f.FilePath)
			if err == nil {
				content := base64.StdEncoding.EncodeToString(data)
				res.Content = &content
			}
			return len(data), err
		},
		func(refused string) wire.Frame {
			if res.Error = refused; refused != "" {
				res.Content = nil
			}
			return res
		})
}

func (c *Client) dirAsked(reqID string, f *wire.PeerDirRequestForward) {
	res := wire.PeerDirResponse{RequesterPubkey: f.RequesterPubkey, DirPath: f.DirPath}
	c.serveFiles(reqID, f.RequesterPubkey, Access{Kind: "directory", Path: f.DirPath},
		func(dirs share.Dirs) (n int, err error) {
			res.Entries, res.More, err = dirs.List(f.DirPath, f.Pattern)
			return len(res.Entries), err
		},
		func(refused string) wire.Frame {
			if res.Error = refused; refused != "" {
				res.Entries, res.More = nil, false
			}
			return res
		})
}

// serveFiles has a worker read what was asked for, log it and answer. read
// returns the size for the log; answer makes the frame, of what was read or, if
// refused is not empty, of that.
func (c *Client) serveFiles(reqID, requester string, a Access, read func(share.Dirs) (int, error), answer func(refused string) wire.Frame) {
	if reqID == "" {
		return // nobody could be answered
	}
	if !c.files.allow(requester, time.Now()) {
		c.log.Warn("files refused: too many requests", "peer", requester)
		c.respond(reqID, answer(filesTooMany))
		return
	}
	ok := c.files.do(func() {
		refused := c.readShared(requester, a, read)
		if !c.respond(reqID, answer(refused)) {
			c.respond(reqID, answer(filesBusy))
		}
	})
	if !ok {
		c.respond(reqID, answer(filesBusy))
	}
}

// readShared reads and logs, and returns why nothing may be told.
func (c *Client) readShared(requester string, a Access, read func(share.Dirs) (int, error)) (refused string) {
	if c.opts.ShareFrom == "" {
		return share.ErrDisabled.Error()
	}
	conf, err := LoadConfig(c.opts.ShareFrom)
	if err != nil {
		c.log.Warn("files refused: the configuration cannot be read", "err", err)
		return share.ErrDisabled.Error()
	}
	dirs, err := conf.Shared(c.opts.Mesh.MeshID)
	if err != nil {
		c.log.Warn("files refused: the configuration cannot be read", "err", err)
	}
	size, err := read(dirs)
	if errors.Is(err, share.ErrDisabled) {
		return err.Error()
	}
	asking, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a.Time, a.Mesh, a.Peer, a.Size = time.Now().UTC(), c.opts.Mesh.Slug, requester, size
	a.Name = wire.Shorten(c.Name(asking, requester), wire.MaxName)
	if err != nil {
		a.Refused = err.Error()
	}
	c.log.Info("a peer asked for files", "peer", a.Name, "key", requester, "path", a.Path, "size", size, "refused", a.Refused)
	if err := conf.logAccess(a); err != nil {
		c.log.Warn("files refused", "err", err)
		return filesUnsaid
	}
	return a.Refused
}

// respond answers what the broker has relayed. It reports whether there was
// room: without a connection there is nobody to answer, which is as good.
func (c *Client) respond(reqID string, f wire.Frame) bool {
	frame, err := wire.Append(nil, reqID, f)
	if err != nil {
		c.log.Error("answer not encoded", "type", f.FrameType(), "err", err)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.conn == nil:
		return true
	case len(frame) > maxUnsent/64 && c.conn.waiting()+len(frame) > maxUnsent:
		return false
	}
	c.conn.write(frame)
	return true
}
