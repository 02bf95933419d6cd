package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestIndexIsConsistent(t *testing.T) {
	byType := map[Type]Entry{}
	for _, e := range Index() {
		if _, ok := byType[e.Type]; ok {
			t.Errorf("%s stands twice", e.Type)
		}
		byType[e.Type] = e
	}
	for _, e := range byType {
		switch a, ok := byType[e.Answer]; {
		case e.Direction == ToPeer && e.Answer != "":
			t.Errorf("%s goes to the peer and has the answer %s", e.Type, e.Answer)
		case e.Direction == ToBroker && (!ok || a.Direction != ToPeer):
			t.Errorf("%s is answered by %q, which is no frame to the peer", e.Type, e.Answer)
		}
		if newFrame(e).FrameType() != e.Type || strings.Trim(string(e.Type), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%q is not the plain name of its type", e.Type)
		}
	}
}

// Append writes the head in front of the payload, and encoding/json matches
// names in any case: a second field of either name would replace the head.
func TestNoPayloadHasAFieldOfTheHead(t *testing.T) {
	for _, e := range Index() {
		for _, f := range describeFields(reflect.TypeOf(newFrame(e)).Elem()) {
			if strings.EqualFold(f.name, "type") || strings.EqualFold(f.name, "_reqId") {
				t.Errorf("%s has the field %s", e.Type, f.name)
			}
		}
	}
}

func TestEveryFrameTypeIsInTheIndex(t *testing.T) {
	indexed := map[string]bool{}
	for _, e := range Index() {
		indexed[reflect.TypeOf(newFrame(e)).Elem().Name()] = true
	}
	for _, name := range readSource(t).frames {
		if !indexed[name] {
			t.Errorf("%s has a FrameType and is missing in Index", name)
		}
	}
}
