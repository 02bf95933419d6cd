package peer

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

const auditedMesh = "aaaaaaaaaaaaaaaa"

// auditLog is a log of n entries as a broker hands it out, with a checkpoint of
// each entry.
func auditLog(t *testing.T, n int) (entries []wire.AuditEntry, points []*wire.AuditCheckpoint) {
	t.Helper()
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	var at seal.AuditLink
	for i := range n {
		payload := []byte(`{"actorDisplayName":"ann <&>","key":"k"}`)
		member := "m1"
		r := seal.AuditRecord{Event: "state_set", Actor: member, Payload: payload, Created: time.UnixMilli(1_700_000_000_000 + int64(i))}
		name, prev := "ann <&>", at.String()
		at = r.Follow(at, auditedMesh)
		entries = append(entries, wire.AuditEntry{ID: r.ID, EventType: r.Event, Actor: name, Payload: payload, Hash: at.String(), CreatedAt: wire.Time(r.Created),
			PrevHash: prev, ActorMemberID: &member, ActorDisplayName: &name})
		text, err := seal.CheckpointText(auditedMesh, at.ID, at.String(), r.Created.UnixMilli())
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, &wire.AuditCheckpoint{MeshID: auditedMesh, ID: at.ID, Hash: at.String(), CreatedAt: wire.Time(r.Created),
			Signer: key.Public().String(), Signature: key.Sign(text)})
	}
	return entries, points
}

// walk verifies entries that follow base, up to end.
func (a *AuditChain) walk(base *wire.AuditCheckpoint, entries []wire.AuditEntry, end *wire.AuditCheckpoint) error {
	if err := a.Begin(base); err != nil {
		return err
	}
	for i := range entries {
		if err := a.Add(&entries[i]); err != nil {
			return err
		}
	}
	return a.End(end.ID, end.Hash)
}

func TestAuditChains(t *testing.T) {
	log, points := auditLog(t, 6)
	_, others := auditLog(t, 6)
	forged := *points[2]
	forged.Hash = hex.EncodeToString(make([]byte, 32))
	elsewhere := *points[2]
	elsewhere.MeshID = "bbbbbbbbbbbbbbbb"
	for _, c := range []struct {
		name    string
		against *wire.AuditCheckpoint
		base    *wire.AuditCheckpoint
		entries []wire.AuditEntry
		end     *wire.AuditCheckpoint
		wrong   string // nothing: it verifies
	}{
		{"from the beginning", nil, nil, log, points[5], ""},
		{"through a checkpoint", points[2], nil, log, points[5], ""},
		{"through one of the last entry", points[5], nil, log, points[5], ""},
		{"after what was pruned", points[4], points[2], log[3:], points[5], ""},
		{"a checkpoint of the last that was pruned", points[2], points[2], log[3:], points[5], ""},
		{"a checkpoint of what was pruned before", points[1], points[2], log[3:], points[5], "was pruned"},
		{"a checkpoint beyond the end", points[5], nil, log[:4], points[3], "it was cut off"},
		{"an end that was not reached", nil, nil, log[:4], points[5], "should end at entry 6"},
		{"a checkpoint of another mesh", &elsewhere, nil, log, points[5], "another mesh"},
		{"a checkpoint that was altered", &forged, nil, log, points[5], "signature does not fit"},
		{"a beginning that was altered", nil, &forged, log[3:], points[5], "signature does not fit"},
		{"one left out", nil, nil, append(log[:2:2], log[3:]...), points[5], "entry 3: "},
		{"one twice", nil, nil, append(log[:2:2], log[1:]...), points[5], "entry 3: "},
		{"the first left out", nil, nil, log[1:], points[5], "entry 1: "},
		{"a checkpoint of a broker with another key", others[2], nil, log, points[5], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := AuditChain{MeshID: auditedMesh, Against: c.against}
			err := chain.walk(c.base, c.entries, c.end)
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
}

// Whatever byte of an entry is altered on the way: either it cannot be read, or
// it is found, or it says the same in another way.
func TestEveryAlteredByteOfAnExportIsFound(t *testing.T) {
	log, points := auditLog(t, 2)
	text, err := json.Marshal(log[1])
	if err != nil {
		t.Fatal(err)
	}
	said := canonical(t, text)
	found := 0
	for i := range text {
		for range 4 {
			altered := append([]byte(nil), text...)
			altered[i] ^= 1 << rand.IntN(8)
			var e wire.AuditEntry
			if json.Unmarshal(altered, &e) != nil {
				continue
			}
			chain := AuditChain{MeshID: auditedMesh}
			if err := chain.walk(nil, []wire.AuditEntry{log[0], e}, points[1]); err != nil {
				found++
				continue
			}
			if again, err := json.Marshal(e); err != nil || canonical(t, again) != said {
				t.Errorf("%s\nis taken for\n%s", altered, text)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d alterations were found", found)
	}
}

// canonical is what a text of JSON says, in the one form of it.
func canonical(t *testing.T, text []byte) string {
	t.Helper()
	out, err := seal.CanonicalJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(out)
}
