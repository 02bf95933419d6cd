package broker

import (
	"strings"

	"claudemesh/wire"
)

// maxPlaced is how many characters one value takes in the text of a webhook.
const maxPlaced = 1000

// A template is the text of a webhook's messages with places for values. It can
// do nothing else: who posts is a stranger, and so may who wrote it be.
type template []piece

// A piece is text, or the place of a value.
type piece struct {
	text  string
	place bool
	attr  string // @event or @name; else path says which value
	path  path
}

// parseTemplate reads a template, in which {{path}} stands for a value.
func parseTemplate(text string) (template, error) {
	var t template
	places := 0
	for rest := text; rest != ""; {
		before, inner, found := strings.Cut(rest, "{{")
		if before != "" {
			t = append(t, piece{text: before})
		}
		if !found {
			break
		}
		what, after, closed := strings.Cut(inner, "}}")
		if !closed {
			return nil, wire.Errorf(wire.BadRequest, "the template has {{ without }} after it: write {{repository.name}}, for instance")
		}
		p, err := parsePlace(strings.TrimSpace(what))
		if err != nil {
			return nil, err
		}
		if places++; places > wire.MaxHookPaths {
			return nil, wire.Errorf(wire.TooLarge, "the template has more than %d places for values", wire.MaxHookPaths)
		}
		t, rest = append(t, p), after
	}
	return t, nil
}

func parsePlace(what string) (piece, error) {
	if strings.HasPrefix(what, "@") {
		if what != "@event" && what != "@name" {
			return piece{}, wire.Errorf(wire.BadRequest, "{{%s}} is neither {{@event}} nor {{@name}}", wire.Shorten(what, 40))
		}
		return piece{place: true, attr: what}, nil
	}
	p, err := parsePath(what)
	return piece{place: true, path: p}, err
}

// fill puts the values of what was posted in their places: of one that is not
// there, nothing.
func (t template) fill(posted any, attrs map[string]string) string {
	var b strings.Builder
	for _, p := range t {
		switch {
		case !p.place:
			b.WriteString(p.text)
		case p.attr != "":
			b.WriteString(wire.Shorten(attrs[p.attr], maxPlaced))
		default:
			if v := p.path.in(posted); v != nil {
				b.WriteString(wire.Shorten(valueText(v), maxPlaced))
			}
		}
	}
	return cutBytes(b.String(), wire.MaxHookText)
}

// cutBytes cuts s to n bytes, at the end of a character.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
