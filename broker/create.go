package broker

import (
	"context"
	"crypto/sha256"
	"net/http"
	"regexp"
	"strings"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// maxMeshes is how many meshes a broker holds.
const maxMeshes = 1000

var meshID = regexp.MustCompile(`^[0-9A-Za-z]{16,64}$`)

// createMesh makes a mesh: POST /mesh, with the broker's admin token and
// signed by the key that will own it. To make the same mesh again is no error.
func (srv *Server) createMesh(r *http.Request, body []byte) (wire.CreateMeshResult, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !srv.isAdmin(token) {
		return wire.CreateMeshResult{}, wire.Errorf(wire.Unauthorized,
			"to make a mesh takes the broker's admin token: it is in server.json in its data directory")
	}
	signer, err := srv.signer(r, sha256.Sum256(body))
	if err == nil {
		err = srv.once(r)
	}
	if err != nil {
		return wire.CreateMeshResult{}, err
	}
	var req wire.CreateMesh
	if err := decodeBody(body, &req); err != nil {
		return wire.CreateMeshResult{}, err
	}
	req.OwnerPubkey, req.Name = strings.ToLower(req.OwnerPubkey), clean(req.Name, wire.MaxName)
	switch {
	case req.OwnerPubkey != signer:
		return wire.CreateMeshResult{}, wire.Errorf(wire.Unauthorized, "the request must be signed by ownerPubkey")
	case !meshID.MatchString(req.MeshID):
		return wire.CreateMeshResult{}, wire.Errorf(wire.BadRequest, "meshId must be 16 to 64 letters and digits")
	case !seal.ValidSlug(req.Slug):
		return wire.CreateMeshResult{}, wire.Errorf(wire.BadRequest, "slug must be lower-case letters, digits and -, at most 64, and begin with a letter or digit")
	}
	if req.Name == "" {
		req.Name = req.Slug
	}
	existed, err := srv.addMesh(r.Context(), &req)
	return wire.CreateMeshResult{HTTPResult: wire.HTTPResult{OK: err == nil}, MeshID: req.MeshID, Existed: existed}, err
}

// addMesh makes the mesh on disk and opens it. Meshes are made one at a time.
func (srv *Server) addMesh(ctx context.Context, req *wire.CreateMesh) (existed bool, err error) {
	srv.making.Lock()
	defer srv.making.Unlock()
	for _, m := range srv.all() {
		m.mu.Lock()
		info := m.info
		m.mu.Unlock()
		switch {
		case m.id == req.MeshID && info.Owner == req.OwnerPubkey:
			return true, nil
		case m.id == req.MeshID:
			return false, wire.Errorf(wire.Conflict, "that mesh id is taken")
		case info.Slug == req.Slug:
			return false, wire.Errorf(wire.Conflict, "this broker has a mesh %q already: choose another slug", req.Slug)
		}
	}
	if len(srv.all()) >= maxMeshes {
		return false, wire.Errorf(wire.Limit, "this broker has %d meshes, the most it may", maxMeshes)
	}
	ctx = context.WithoutCancel(ctx) // half a mesh helps nobody
	_, err = store.CreateMeshDir(ctx, srv.cfg.Data, store.Mesh{
		ID: req.MeshID, Slug: req.Slug, Name: req.Name, Owner: req.OwnerPubkey, Created: time.Now(),
		SelfEditable: store.SelfEditable{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
	})
	if err != nil {
		return false, err
	}
	m, err := openMesh(ctx, srv, req.MeshID)
	if err != nil {
		return false, err
	}
	srv.mu.Lock()
	srv.meshes[req.MeshID] = m
	srv.mu.Unlock()
	srv.log.Info("mesh created", "mesh", m.id, "slug", req.Slug)
	return false, nil
}
