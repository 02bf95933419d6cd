package broker

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"claudemesh/wire"
)

// maxBody bounds the body of every request that carries JSON.
const maxBody = 64 << 10

// An endpoint is one HTTP route of the broker.
type endpoint struct {
	pattern string // of http.ServeMux
	limited bool   // changes something: bounded per address
	serve   func(http.ResponseWriter, *http.Request)
}

// endpoints is the table of the broker's HTTP.
func (srv *Server) endpoints() []endpoint {
	return []endpoint{
		{"GET /ws", false, srv.serveSocket},
		{"GET /health", false, srv.serveHealth},
		{"GET /health/ready", false, srv.serveReady},
		{"GET /metrics", false, srv.metrics.handler().ServeHTTP},

		{"POST /join", true, api(srv.join)},
		{"POST /mesh", true, api(srv.createMesh)},
		{"GET /mesh/{mesh}/members", false, signed(srv, (*mesh).serveMembers)},
		{"PATCH /mesh/{mesh}/member/{id}", true, signed(srv, (*mesh).patchMember)},
		{"DELETE /mesh/{mesh}/member/{id}", true, signed(srv, (*mesh).revokeMember)},
		{"PATCH /mesh/{mesh}/settings", true, signed(srv, (*mesh).patchSettings)},
		{"GET /mesh/{mesh}/invites", false, signed(srv, (*mesh).serveInvites)},
		{"POST /mesh/{mesh}/invites", true, signed(srv, (*mesh).addInvite)},
		{"DELETE /mesh/{mesh}/invites/{id}", true, signed(srv, (*mesh).revokeInvite)},
		{"POST /hook/set-status", true, srv.serveHook},
		{"POST /hook/{mesh}/{secret}", false, srv.servePost},
		{"GET /hook/{mesh}/{secret}", false, srv.serveHookGet},

		{"POST /upload", true, srv.serveUpload},
		{"GET /download/{mesh}/{file}", false, srv.serveDownload},
	}
}

// handler serves the endpoints; anything else is not found.
func (srv *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range srv.endpoints() {
		serve := e.serve
		if e.limited {
			serve = srv.limited(serve)
		}
		mux.HandleFunc(e.pattern, serve)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "not found")
	})
	return srv.guard.wrap(mux)
}

// limited bounds how often an address may call.
func (srv *Server) limited(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !srv.limits.allow(remote(r)) {
			if r.URL.Path == "/hook/set-status" {
				srv.metrics.hooks.Inc()
				srv.metrics.hooksLimited.Inc()
			}
			writeError(w, http.StatusTooManyRequests, wire.Errorf(wire.RateLimited, "too many requests from %s: wait a minute", remote(r)))
			return
		}
		next(w, r)
	}
}

// api makes a handler of a function from a request with its body to an answer.
func api[Res any](fn func(*http.Request, []byte) (Res, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r)
		if err != nil {
			writeError(w, 0, err)
			return
		}
		res, err := fn(r, body)
		if err != nil {
			writeError(w, 0, err)
			return
		}
		writeJSON(w, http.StatusOK, res)
	}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, wire.Errorf(wire.TooLarge, "payload too large: at most %d bytes", maxBody)
	}
	return body, err
}

// httpStatus maps an error code to the status that goes with it.
func httpStatus(c wire.Code) int {
	switch c {
	case wire.Unauthorized, wire.BadSignature, wire.TimestampSkew, wire.Replayed:
		return http.StatusUnauthorized
	case wire.Forbidden:
		return http.StatusForbidden
	case wire.NotFound:
		return http.StatusNotFound
	case wire.Conflict:
		return http.StatusConflict
	case wire.TooLarge:
		return http.StatusRequestEntityTooLarge
	case wire.RateLimited, wire.Capacity:
		return http.StatusTooManyRequests
	case wire.Unavailable:
		return http.StatusServiceUnavailable
	case wire.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func writeError(w http.ResponseWriter, status int, err error) {
	e := asError(err)
	if status == 0 {
		status = httpStatus(e.Code)
	}
	writeJSON(w, status, wire.HTTPResult{Error: e.Code, Hint: e.Message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a peer that has gone needs no answer
}

// A hostGuard refuses requests that name a host the broker is not, which is
// how a web page reaches a broker on its reader's own machine, and requests
// of web pages that are not allowed.
type hostGuard struct {
	hosts   []string // lower case, without port
	origins []string
}

func newHostGuard(cfg *Config) hostGuard {
	g := hostGuard{hosts: []string{"localhost"}, origins: list(cfg.AllowOrigins)}
	if name, err := os.Hostname(); err == nil {
		g.hosts = append(g.hosts, strings.ToLower(name), strings.ToLower(name)+".local")
	}
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		g.hosts = append(g.hosts, strings.ToLower(u.Hostname()))
		g.origins = append(g.origins, cfg.PublicURL)
	}
	for _, h := range list(cfg.AllowHosts) {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	return g
}

func (g hostGuard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.knows(r.Host) {
			writeError(w, http.StatusMisdirectedRequest, wire.Errorf(wire.Forbidden,
				"this broker is not %q: start it with --public-url or --allow-host if it is", wire.Shorten(r.Host, 80)))
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			if !slices.Contains(g.origins, origin) {
				writeError(w, http.StatusForbidden, wire.Errorf(wire.Forbidden, "web pages of %q may not call: see --allow-origin", wire.Shorten(origin, 80)))
				return
			}
			allowOrigin(w.Header(), origin)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", strings.Join([]string{"Content-Type", "Authorization",
		wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature, wire.HeaderMesh, wire.HeaderMember, wire.HeaderFileName,
		wire.HeaderTags, wire.HeaderPersist, wire.HeaderTarget, wire.HeaderEncrypted, wire.HeaderOwner, wire.HeaderFileKeys,
		wire.HeaderSHA256}, ", "))
}

// knows reports whether host, of a Host header, may be this broker. An
// address always may: only names can be pointed at somebody else's machine.
func (g hostGuard) knows(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return slices.Contains(g.hosts, strings.ToLower(strings.TrimSuffix(name, ".")))
}
