package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The reference for authors of clients takes its tables from the types and
// their comments, so that it cannot say what the program does not do.
func TestProtocolReferenceIsCurrent(t *testing.T) {
	name := filepath.Join("..", "docs", "PROTOCOL.md")
	p, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := newDocs(readSource(t))
	want := string(p)
	for _, section := range []struct {
		marker string
		text   string
	}{
		{"frames", d.frames()},
		{"events", d.events()},
		{"errors", d.errors(t)},
		{"closes", d.closeCodes()},
		{"limits", d.limits(t)},
		{"http", d.http(t)},
	} {
		want = replaceSection(t, want, section.marker, section.text)
	}
	compareFile(t, name, want)
}

var (
	docHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	docLink    = regexp.MustCompile(`\]\(#([^)]+)\)`)
)

func TestLinksOfTheReferenceLeadSomewhere(t *testing.T) {
	p, err := os.ReadFile(filepath.Join("..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	anchors := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(string(p), -1) {
		a := strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(m[1], "`", "")), " ", "-")
		if n := times[a]; n > 0 {
			anchors[fmt.Sprintf("%s-%d", a, n)] = true
		}
		times[a]++
		anchors[a] = true
	}
	for _, m := range docLink.FindAllStringSubmatch(string(p), -1) {
		if !anchors[m[1]] {
			t.Errorf("no heading has the anchor #%s", m[1])
		}
	}
}

func replaceSection(t *testing.T, doc, marker, text string) string {
	t.Helper()
	begin, end := "<!-- "+marker+":begin -->", "<!-- "+marker+":end -->"
	before, rest, ok := strings.Cut(doc, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the reference has no %s … %s", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + after
}

// docs writes the generated parts of the reference.
type docs struct {
	src    *source
	byName map[string]reflect.Type // types that appear on the wire
	words  map[string]string       // Go names and what they are called outside
}

var goName = regexp.MustCompile(`\b[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*)?\b`)

func newDocs(src *source) *docs {
	d := &docs{src: src, byName: map[string]reflect.Type{}, words: map[string]string{}}
	for _, block := range src.blocks {
		for _, c := range block.consts {
			switch {
			case c.typ == "Code":
				d.words[c.name] = "`" + c.value + "`"
			case block.file == "limits.go" && c.value != "":
				d.words[c.name] = c.value
			}
		}
	}
	var all []reflect.Type
	for _, e := range Index() {
		t := reflect.TypeOf(newFrame(e)).Elem()
		all = append(all, t)
		d.words[t.Name()] = "`" + string(e.Type) + "`"
	}
	for _, v := range append(httpBodies(), eventBodies()...) {
		all = append(all, reflect.TypeOf(v))
	}
	for _, t := range append(all, referenced(all...)...) {
		d.byName[t.Name()] = t
	}
	return d
}

// prose turns a comment on a Go name into text for a reader who knows only JSON.
func (d *docs) prose(comment string, of reflect.Type) string {
	fields := func(t reflect.Type) map[string]string {
		out := map[string]string{}
		if t != nil && t.Kind() == reflect.Struct {
			for _, f := range describeFields(t) {
				out[f.goName] = f.name
			}
		}
		return out
	}
	siblings := fields(of)
	text := goName.ReplaceAllStringFunc(comment, func(word string) string {
		if owner, field, ok := strings.Cut(word, "."); ok {
			if name := fields(d.byName[owner])[field]; name != "" {
				return "`" + strings.Trim(d.word(owner), "`") + "." + name + "`"
			}
			return word
		}
		if name, ok := siblings[word]; ok {
			return "`" + name + "`"
		}
		return d.word(word)
	})
	words := strings.Split(text, " ")
	for i, w := range words {
		if strings.Contains(w, "|") {
			bare := strings.TrimRight(w, ".,;:")
			words[i] = "`" + strings.ReplaceAll(bare, "|", `\|`) + "`" + w[len(bare):]
		} else {
			words[i] = strings.ReplaceAll(w, "<", "&lt;") // Markdown would take it for a tag
		}
	}
	return strings.Join(words, " ")
}

func (d *docs) word(w string) string {
	if out, ok := d.words[w]; ok {
		return out
	}
	return w
}

func (d *docs) frames() string {
	var b strings.Builder
	var all []reflect.Type
	for _, e := range Index() {
		t := reflect.TypeOf(newFrame(e)).Elem()
		all = append(all, t)
		fmt.Fprintf(&b, "### `%s`\n\n%s", e.Type, e.Direction)
		if e.Answer != "" {
			fmt.Fprintf(&b, ", answered by `%s`", e.Answer)
		}
		fmt.Fprintf(&b, ".\n\n%s\n\n", d.prose(d.src.types[t.Name()], t))
		d.fieldTable(&b, t, e.Direction == ToBroker)
	}
	d.referencedTypes(&b, "###", referenced(all...))
	return b.String()
}

// fieldTable writes the fields of t. In a request a pointer tells absence from
// the zero value; in an answer it is null.
func (d *docs) fieldTable(b *strings.Builder, t reflect.Type, isRequest bool) {
	fields := describeFields(t)
	if len(fields) == 0 {
		b.WriteString("It has no fields.\n\n")
		return
	}
	b.WriteString("| Field | Type | Always | Meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		always := "yes"
		switch {
		case f.optional:
			always = "no"
		case f.nullable && !isRequest:
			always = "yes, or null"
		}
		meaning := d.prose(d.src.fields[f.owner][f.goName], d.byName[t.Name()])
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, d.typeText(f.typ), always, meaning)
	}
	b.WriteByte('\n')
}

func (d *docs) typeText(t reflect.Type) string {
	kind, named := jsonType(t)
	if named == nil {
		return kind
	}
	link := "[" + named.Name() + "](#" + strings.ToLower(named.Name()) + ")"
	if named == reflect.TypeFor[Code]() {
		link = "[code](#error-codes)"
	}
	if base, ok := strings.CutSuffix(kind, "object"); ok {
		return base + link
	}
	return strings.TrimSuffix(kind, "string") + link
}

// referencedTypes writes objects as field tables and named strings as tables of their values.
func (d *docs) referencedTypes(b *strings.Builder, heading string, ts []reflect.Type) {
	for _, t := range ts {
		if t == reflect.TypeFor[Code]() {
			continue
		}
		fmt.Fprintf(b, "%s %s\n\n%s\n\n", heading, t.Name(), d.prose(d.src.types[t.Name()], t))
		if t.Kind() == reflect.Struct {
			d.fieldTable(b, t, false)
			continue
		}
		b.WriteString("| Value | Meaning |\n|---|---|\n")
		for _, block := range d.src.blocks {
			for _, c := range block.consts {
				if c.typ == t.Name() {
					fmt.Fprintf(b, "| `%s` | %s |\n", c.value, d.prose(c.doc, nil))
				}
			}
		}
		b.WriteByte('\n')
	}
}

func eventBodies() []any {
	return []any{PeerEvent{}, ProfileUpdated{}, MessageExpired{}, SkillShared{}, SkillRemoved{}, Tick{}, ClockPaused{}, MCPEvent{}, MCPDeployed{}, MCPUndeployed{}, MCPScopeChanged{}, MCPCrashed{}, MCPUpdated{}, WatchTriggered{}, EventsMissed{}}
}

func (d *docs) events() string {
	var b strings.Builder
	b.WriteString("| Event | `eventData` |\n|---|---|\n")
	for _, block := range d.src.blocks {
		for _, c := range block.consts {
			if block.file == "event.go" {
				fmt.Fprintf(&b, "| `%s` | [%s](#%s) |\n", c.value, c.doc, strings.ToLower(c.doc))
			}
		}
	}
	b.WriteByte('\n')
	d.objects(&b, eventBodies(), nil)
	return b.String()
}

// objects writes bodies and what they lead to, but for what the frames and
// the bodies written before lead to already.
func (d *docs) objects(b *strings.Builder, bodies, before []any) {
	var known, ts []reflect.Type
	for _, e := range Index() {
		known = append(known, reflect.TypeOf(newFrame(e)).Elem())
	}
	for _, v := range before {
		known = append(known, reflect.TypeOf(v))
	}
	for _, v := range bodies {
		ts = append(ts, reflect.TypeOf(v))
	}
	known = append(known, referenced(known...)...)
	ts = append(ts, referenced(slices.Concat(known, ts)...)...)
	d.referencedTypes(b, "####", ts)
}

func (d *docs) errors(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, block := range d.src.blocks {
		if block.file != "error.go" {
			continue
		}
		fmt.Fprintf(&b, "%s\n\n| Code | When |\n|---|---|\n", d.prose(block.doc, nil))
		for _, c := range block.consts {
			if c.doc == "" {
				t.Errorf("code %s has no comment that says when it is used", c.name)
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", c.value, d.prose(c.doc, nil))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (d *docs) closeCodes() string {
	var b strings.Builder
	b.WriteString("| Code | Text and meaning |\n|---|---|\n")
	for _, c := range d.limitConsts("Close") {
		fmt.Fprintf(&b, "| %s | %s |\n", c.value, d.prose(c.doc, nil))
	}
	return b.String()
}

// limitConsts lists the constants of limits.go that do, or with "" do not, close a connection.
func (d *docs) limitConsts(prefix string) []constant {
	var out []constant
	for _, block := range d.src.blocks {
		for _, c := range block.consts {
			if block.file == "limits.go" && strings.HasPrefix(c.name, "Close") == (prefix == "Close") {
				out = append(out, c)
			}
		}
	}
	return out
}

func (d *docs) limits(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| Name | Value | |\n|---|---|---|\n")
	for _, c := range d.limitConsts("") {
		value := c.value
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
			t.Errorf("%s = %s cannot be evaluated", c.name, c.expr)
		case strings.Contains(c.expr, "time."):
			value += " s"
		case strings.HasSuffix(c.name, "Bytes"):
			value = fmt.Sprintf("%d KiB", n>>10)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, value, d.prose(c.doc, nil))
	}
	return b.String()
}

func httpBodies() []any {
	return []any{
		HTTPResult{}, Health{}, JoinRequest{}, JoinResult{}, CreateMesh{}, CreateMeshResult{},
		AddInvite{}, InviteResult{}, InviteList{}, Invite{}, Preset{},
		MemberList{}, Member{}, MemberPatch{}, MemberPatched{}, MeshSettings{}, HookStatus{}, HookResult{}, HookDelivery{}, UploadResult{}, FileKey{},
	}
}

func (d *docs) http(t *testing.T) string {
	t.Helper()
	var listed []string
	for _, v := range httpBodies() {
		listed = append(listed, reflect.TypeOf(v).Name())
	}
	for _, name := range d.src.order["http.go"] {
		if !slices.Contains(listed, name) {
			t.Errorf("%s of http.go is missing in httpBodies", name)
		}
	}
	var b strings.Builder
	d.objects(&b, httpBodies(), eventBodies())
	return b.String()
}
