package wire

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A source is what the package's own files say about its names.
type source struct {
	types  map[string]string            // doc of a type by its name
	fields map[string]map[string]string // doc of a field by type and Go name
	order  map[string][]string          // exported structs of a file
	frames []string                     // types with a method FrameType
	blocks []constBlock
}

// A constBlock is one declaration of several constants.
type constBlock struct {
	file   string
	doc    string
	consts []constant
}

type constant struct {
	name, typ string
	value     string // of a string: its text; of a number: the number
	expr      string // as written
	doc       string
}

func readSource(t *testing.T) *source {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{types: map[string]string{}, fields: map[string]map[string]string{}, order: map[string][]string{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			s.readDecl(t, name, d)
		}
	}
	return s
}

func (s *source) readDecl(t *testing.T, file string, d ast.Decl) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "FrameType" && d.Recv != nil {
			s.frames = append(s.frames, strings.TrimPrefix(exprText(t, d.Recv.List[0].Type), "*"))
		}
	case *ast.GenDecl:
		block := constBlock{file: file, doc: oneLine(d.Doc)}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.readType(file, spec, oneLine(d.Doc, spec.Doc))
			case *ast.ValueSpec:
				if d.Tok == token.CONST {
					block.consts = append(block.consts, readConst(t, spec))
				}
			}
		}
		if len(block.consts) > 0 {
			s.blocks = append(s.blocks, block)
		}
	}
}

func (s *source) readType(file string, spec *ast.TypeSpec, doc string) {
	name := spec.Name.Name
	s.types[name] = doc
	st, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	if spec.Name.IsExported() {
		s.order[file] = append(s.order[file], name)
	}
	s.fields[name] = map[string]string{}
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			s.fields[name][n.Name] = oneLine(f.Doc, f.Comment)
		}
	}
}

func readConst(t *testing.T, spec *ast.ValueSpec) constant {
	t.Helper()
	c := constant{name: spec.Names[0].Name, doc: oneLine(spec.Doc, spec.Comment)}
	if spec.Type != nil {
		c.typ = exprText(t, spec.Type)
	}
	if len(spec.Values) == 0 {
		return c
	}
	c.expr = exprText(t, spec.Values[0])
	if text, err := strconv.Unquote(c.expr); err == nil {
		c.value = text
		return c
	}
	// Names of other packages are unknown here, but those of package time are few.
	expr := strings.NewReplacer("time.Second", "1", "time.Minute", "60", "time.Hour", "3600").Replace(c.expr)
	if v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr); err == nil && v.Value != nil {
		c.value = v.Value.ExactString()
	}
	return c
}

func exprText(t *testing.T, e ast.Expr) string {
	t.Helper()
	var b strings.Builder
	if err := printer.Fprint(&b, token.NewFileSet(), e); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// oneLine joins comments to one line of text.
func oneLine(groups ...*ast.CommentGroup) string {
	var b strings.Builder
	for _, g := range groups {
		if g != nil {
			b.WriteString(" " + g.Text())
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
