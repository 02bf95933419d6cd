package tools

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// all returns the meshes.
func (h *hub) all() []*mesh {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.meshes)
}

// among returns the meshes that a tool's mesh argument means: one, or all. The
// error says what is joined, or how to join.
func (h *hub) among(name string) ([]*mesh, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.meshes) == 0 && h.problem != nil:
		return nil, h.problem
	case len(h.meshes) == 0:
		return nil, errors.New("no mesh is joined: ask your user to run `claudemesh join <link>` in a terminal; this session connects by itself then")
	case name == "":
		return slices.Clone(h.meshes), nil
	}
	i := slices.IndexFunc(h.meshes, func(m *mesh) bool { return m.slug == name || m.entry.MeshID == name })
	if i < 0 && h.problem != nil {
		return nil, h.problem
	}
	if i < 0 {
		return nil, fmt.Errorf("no mesh %q is joined; joined are %s", wire.Shorten(name, 60), strings.Join(slugs(h.meshes), ", "))
	}
	return h.meshes[i : i+1], nil
}

// inEach makes a reply of what ask says of each mesh that a tool's mesh argument
// means: its structured content, and what it writes. Where it fails the fault
// stands in that mesh's place; if it fails in all, that is the error.
func (h *hub) inEach(name string, ask func(m *mesh, text *strings.Builder) (any, error)) (reply, error) {
	all, err := h.among(name)
	if err != nil {
		return reply{}, err
	}
	data := make(map[string]any)
	var text strings.Builder
	var faults []error
	for _, m := range all {
		found, err := ask(m, &text)
		if err != nil {
			err = m.explain(err)
			faults = append(faults, err)
			fmt.Fprintf(&text, "## %s\n%s\n", m.slug, err)
			continue
		}
		data[m.slug] = found
	}
	if len(faults) == len(all) {
		return reply{}, errors.Join(faults...)
	}
	return reply{data: map[string]any{"meshes": data}, text: text.String()}, nil
}

// one returns the mesh that a tool's mesh argument means, or the only one.
func (h *hub) one(name string) (*mesh, error) {
	all, err := h.among(name)
	if err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return nil, fmt.Errorf("several meshes are joined: set mesh to one of %s", strings.Join(slugs(all), ", "))
	}
	return all[0], nil
}

func slugs(all []*mesh) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.slug)
	}
	return out
}

// explain says what an error of a mesh means to a model.
func (m *mesh) explain(err error) error {
	switch s := m.client.Status(); {
	case err == nil:
		return nil
	case errors.Is(err, peer.ErrRevoked):
		return fmt.Errorf("%s: %w", m.slug, err)
	case s.State == peer.StateConnecting && errors.Is(err, peer.ErrNotConnected):
		return fmt.Errorf("not connected to %s yet: %s", m.slug, reason(s))
	case s.State == peer.StateReconnecting && errors.Is(err, peer.ErrNotConnected):
		return fmt.Errorf("the connection to %s is lost and being made again: %s", m.slug, reason(s))
	}
	return fmt.Errorf("%s: %w", m.slug, err)
}

func reason(s peer.Status) string {
	if s.Err == nil {
		return "it is being made; try again in a moment"
	}
	return s.Err.Error()
}
