package broker

import (
	"context"
	"net/http"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// serveHealth says whether the broker can read and write.
func (srv *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h := wire.Health{Status: "ok", DB: "up", Version: srv.cfg.Version, GitSHA: srv.cfg.GitSHA, Uptime: int64(time.Since(srv.started).Seconds())}
	status := http.StatusOK
	if !srv.healthy() {
		h.Status, h.DB, status = "degraded", "down", http.StatusServiceUnavailable
	}
	writeJSON(w, status, h)
}

// serveReady says whether the broker takes new connections.
func (srv *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if srv.stopping.Load() {
		writeError(w, http.StatusServiceUnavailable, wire.Errorf(wire.Unavailable, "the broker is shutting down"))
		return
	}
	writeJSON(w, http.StatusOK, wire.HTTPResult{OK: true})
}

// healthy reports whether every mesh can be read and written.
func (srv *Server) healthy() bool {
	if len(srv.unopened) > 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, m := range srv.all() {
		err := m.db.Read(ctx, func(rx *store.Rx) error {
			_, err := rx.Mesh()
			return err
		})
		if err != nil || m.db.Probe(ctx) != nil {
			return false
		}
	}
	return true
}
