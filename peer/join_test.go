package peer

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func newInvite(t *testing.T, brokerURL string) seal.Invite {
	t.Helper()
	i := seal.Invite{
		MeshID: testMesh, MeshSlug: "demo", BrokerURL: brokerURL, MeshRootKey: testRoot,
		ExpiresAt: time.Now().Add(time.Hour).Unix(), Role: "admin",
	}
	if err := i.Sign(newKey(t)); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestJoinProvesTheKeyAndReturnsTheMesh(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"memberId":"M1","displayName":"Ann of record"}`)
	invite := newInvite(t, b.url)
	joined, err := Join(t.Context(), JoinRequest{Link: " " + invite.Link() + "\n", DisplayName: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	m := joined.Mesh
	if m.MeshID != testMesh || m.MemberID != "M1" || m.Slug != "demo" || m.Name != "demo" || m.BrokerURL != b.url || m.RootKey != testRoot ||
		m.JoinedAt.Std().IsZero() || joined.Role != wire.Admin || joined.DisplayName != "Ann of record" || joined.AlreadyMember {
		t.Errorf("joined %+v as %+v", m, joined)
	}
	key, err := seal.ParsePrivateKey(m.SecretKey)
	if err != nil || key.Public().String() != m.Pubkey {
		t.Errorf("the keys are no pair: %v", err)
	}
	var req struct {
		wire.JoinRequest
		InvitePayload seal.Invite `json:"invite_payload"`
	}
	if asked := b.got[0]; asked.line != "POST /join" {
		t.Errorf("asked %s", asked.line)
	}
	if err := json.Unmarshal(b.got[0].body, &req); err != nil {
		t.Fatal(err)
	}
	text, err := seal.JoinText(testMesh, m.Pubkey, invite.Token())
	if err != nil || !key.Public().Verify(text, req.Signature) {
		t.Errorf("not signed by the new key: %v", err)
	}
	if req.InviteToken != invite.Token() || !req.InvitePayload.Equal(invite) || req.PeerPubkey != m.Pubkey || req.DisplayName != "Ann" {
		t.Errorf("asked %+v", req)
	}
	if strings.Contains(string(b.got[0].body), m.SecretKey) {
		t.Error("the secret key was sent")
	}
}

func TestJoinAgainKeepsTheKey(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"memberId":"M1","alreadyMember":true}`)
	key := newKey(t)
	joined, err := Join(t.Context(), JoinRequest{Link: newInvite(t, "ws://elsewhere.invalid/ws").Link(), DisplayName: "Ann", Key: key, BrokerURL: b.url})
	if err != nil || !joined.AlreadyMember || joined.Mesh.SecretKey != key.Hex() || joined.Mesh.BrokerURL != b.url || joined.DisplayName != "Ann" {
		t.Errorf("%+v, %v", joined, err)
	}
}

func TestInvitesAreCheckedBeforeAnybodyIsAsked(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"memberId":"M1"}`)
	altered := newInvite(t, b.url)
	altered.Role = "member"
	expired := newInvite(t, b.url)
	expired.ExpiresAt = time.Now().Add(-time.Hour).Unix()
	if err := expired.Sign(newKey(t)); err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]error{
		"hello":               seal.ErrInviteMalformed,
		"ic://join/!!":        seal.ErrInviteMalformed,
		altered.Link():        seal.ErrInviteSignature,
		expired.Link():        seal.ErrInviteExpired,
		altered.Token()[:100]: seal.ErrInviteMalformed,
	} {
		if _, err := Join(t.Context(), JoinRequest{Link: link}); !errors.Is(err, want) {
			t.Errorf("%.40s: %v", link, err)
		}
	}
	if len(b.got) != 0 {
		t.Errorf("asked %d times", len(b.got))
	}
}

func TestRefusedJoinIsReportedAndNotRepeated(t *testing.T) {
	b := newHTTPBroker(t, http.StatusBadRequest, `{"ok":false,"error":"invite_exhausted"}`)
	_, err := Join(t.Context(), JoinRequest{Link: newInvite(t, b.url).Link()})
	if !errors.Is(err, &wire.Error{Code: wire.InviteExhausted}) || len(b.got) != 1 {
		t.Errorf("%v after %d requests", err, len(b.got))
	}
}

func TestJoinWithoutAnAnswerIsRepeatedWithTheSameKey(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"memberId":"M1"}`)
	b.dropFirst = true
	if _, err := Join(t.Context(), JoinRequest{Link: newInvite(t, b.url).Link()}); err != nil {
		t.Fatal(err)
	}
	if len(b.got) != 2 || string(b.got[0].body) != string(b.got[1].body) {
		t.Errorf("%d requests", len(b.got))
	}
}
