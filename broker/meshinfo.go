package broker

import (
	"context"
	"slices"

	"claudemesh/store"
	"claudemesh/wire"
)

// An infoPart puts what one feature has to tell into the answer to mesh_info,
// as far as the caller may know of it. It runs without m.mu, on a snapshot.
type infoPart func(m *mesh, c *call, rx *store.Rx, res *wire.MeshInfoResult) error

// infoParts is a line per feature.
func infoParts() []infoPart {
	return []infoPart{
		stateInfo,
		memoryInfo,
		streamInfo,
		skillInfo,
		mcpInfo,
		serviceInfo,
		fileInfo,
		taskInfo,
	}
}

func (m *mesh) meshInfo(c *call, _ wire.MeshInfo) (wire.MeshInfoResult, error) {
	res := m.whoIsHere(c.session)
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		for _, part := range infoParts() {
			if err := part(m, c, rx, &res); err != nil {
				return err
			}
		}
		return nil
	})
	boundInfo(&res)
	return res, err
}

// whoIsHere is the part of the answer that is about sessions.
func (m *mesh) whoIsHere(s *session) wire.MeshInfoResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.MeshInfoResult{
		Mesh: m.id, Slug: m.info.Slug, Name: m.info.Name, YourName: s.name, YourGroups: notNil(s.groups), YourPubkey: s.key,
	}
	for _, o := range m.visibleTo(s) {
		res.Peers++
		for _, g := range o.groups {
			if name := "@" + g.Name; !slices.Contains(res.Groups, name) {
				res.Groups = append(res.Groups, name)
			}
		}
	}
	slices.Sort(res.Groups)
	return res
}

// boundInfo cuts lists of names that are too long for a frame, and makes those
// that nobody filled empty lists.
func boundInfo(res *wire.MeshInfoResult) {
	for _, list := range []*[]string{&res.Groups, &res.StateKeys, &res.Streams, &res.Tables, &res.Collections, &res.Skills, &res.Services} {
		bytes, n := 0, 0
		for ; n < len(*list) && bytes+len((*list)[n]) <= wire.MaxInfoList; n++ {
			bytes += len((*list)[n])
		}
		res.Cut = res.Cut || n < len(*list)
		*list = append([]string{}, (*list)[:n]...)
	}
}
