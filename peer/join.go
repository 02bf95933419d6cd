package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// JoinRequest is what Join needs to know.
type JoinRequest struct {
	Link        string // any form that seal.ParseLink takes
	DisplayName string
	// Key is the member key to join with. Zero makes a new one; give the one
	// of the configuration to join a mesh again as the same member.
	Key seal.PrivateKey
	// BrokerURL replaces the address in the invite, if not empty.
	BrokerURL string
}

// Joined is a membership.
type Joined struct {
	// Mesh is the entry for the configuration, with the new secret key.
	Mesh Mesh
	// Role is the permission the invite gives.
	Role wire.Permission
	// DisplayName is the name the mesh has on record.
	DisplayName string
	// AlreadyMember says that the key was a member before; no use of the
	// invite was taken.
	AlreadyMember bool
}

// Join redeems an invite and returns the new membership, which the caller saves
// with Config.AddMesh. The invite is checked before the broker, which it names,
// is told of it. Errors wrap one of the seal.ErrInvite kinds, or are
// a *wire.Error with which the broker refused. It takes at most 10 s for each
// of two attempts unless ctx has a deadline.
func Join(ctx context.Context, j JoinRequest) (Joined, error) {
	token, err := seal.ParseLink(j.Link)
	if err != nil {
		return Joined{}, err
	}
	invite, err := seal.DecodeToken(token)
	if err != nil {
		return Joined{}, err
	}
	if err := invite.Validate(time.Now()); err != nil {
		return Joined{}, err
	}
	key, brokerURL := j.Key, cmp.Or(j.BrokerURL, invite.BrokerURL)
	if key.IsZero() {
		if key, err = seal.Generate(); err != nil {
			return Joined{}, err
		}
	}
	api, err := NewAPI(brokerURL, seal.PrivateKey{})
	if err != nil {
		return Joined{}, err
	}
	mesh := Mesh{
		MeshID: invite.MeshID, Slug: invite.MeshSlug, Name: invite.MeshSlug,
		Pubkey: key.Public().String(), SecretKey: key.Hex(),
		BrokerURL: brokerURL, RootKey: invite.MeshRootKey,
	}
	return enroll(ctx, api, mesh, wire.JoinRequest{InviteToken: token, InvitePayload: invite, DisplayName: j.DisplayName}, key)
}

// enroll posts the request. It is sent once more when no answer came: the
// broker knows the key then, and a use of the invite is not lost with it.
func enroll(ctx context.Context, api *API, mesh Mesh, req wire.JoinRequest, key seal.PrivateKey) (Joined, error) {
	text, err := seal.JoinText(mesh.MeshID, mesh.Pubkey, req.InviteToken)
	if err != nil {
		return Joined{}, err
	}
	req.PeerPubkey, req.Signature = mesh.Pubkey, key.Sign(text)
	post := request{method: http.MethodPost, path: "/join", body: req, unsigned: true}
	var res wire.JoinResult
	err = api.do(ctx, post, &res)
	if _, refused := errors.AsType[*wire.Error](err); err != nil && !refused && ctx.Err() == nil {
		err = api.do(ctx, post, &res)
	}
	switch {
	case err != nil:
		return Joined{}, fmt.Errorf("join %s: %w", mesh.Slug, err)
	case res.MemberID == "":
		return Joined{}, fmt.Errorf("join %s: the broker's answer names no member", mesh.Slug)
	}
	mesh.MemberID, mesh.JoinedAt = res.MemberID, wire.Time(time.Now().UTC())
	joined := Joined{Mesh: mesh, DisplayName: res.DisplayName, AlreadyMember: res.AlreadyMember}
	if invite, ok := req.InvitePayload.(seal.Invite); ok {
		joined.Role = wire.Permission(invite.Role)
	}
	if joined.DisplayName == "" {
		joined.DisplayName = req.DisplayName
	}
	return joined, nil
}
