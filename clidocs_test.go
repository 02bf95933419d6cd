package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"claudemesh/peer/cli"
	"claudemesh/wire"
)

// The reference of the command line takes its text from the table of commands
// and the types that --json prints, so that it cannot say what the program
// does not do. -update writes it anew.
func TestCommandReferenceIsCurrent(t *testing.T) {
	const begin, end = "<!-- commands:begin -->", "<!-- commands:end -->"
	name := filepath.Join("docs", "CLI.md")
	p, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(p), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", name, begin, end)
	}
	want := before + begin + "\n\n" + commandReference(t) + end + after
	if want == string(p) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run go test -run TestCommandReferenceIsCurrent . -update", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commandReference describes every command that help shows.
func commandReference(t *testing.T) string {
	t.Helper()
	comments := fieldComments(t, "wire", "peer", filepath.Join("peer", "cli"), filepath.Join("peer", "bench"), "simulate", "launch")
	var b strings.Builder
	cli.Walk(commands(), func(names []string, c *cli.Command) {
		if c.Run == nil || c.Hidden || len(names) == 1 {
			return
		}
		fmt.Fprintf(&b, "### %s\n\n```text\n%s```\n\n", strings.Join(names[1:], " "), helpOf(t, names[1:]))
		if c.Output != nil {
			b.WriteString(outputReference(t, reflect.TypeOf(c.Output), comments))
		}
	})
	return b.String()
}

func helpOf(t *testing.T, names []string) string {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Args: append(names[:len(names):len(names)], "--help"),
		ConfigDir: t.TempDir(), IsTerminal: func(any) bool { return false },
	}
	if code := cli.Main(t.Context(), env, commands()); code != 0 || errs.Len() > 0 {
		t.Fatalf("help of %v: exit %d, %s", names, code, &errs)
	}
	return out.String()
}

// outputReference is a table of the fields of what --json prints.
func outputReference(t *testing.T, typ reflect.Type, comments map[string]string) string {
	what := "an object"
	if typ.Kind() == reflect.Slice {
		what, typ = "an array of objects", typ.Elem()
	}
	rows := fieldRows(t, typ, "", comments)
	return fmt.Sprintf("`--json` prints %s:\n\n| Field | Type | |\n|---|---|---|\n%s\n", what, strings.Join(rows, ""))
}

func fieldRows(t *testing.T, typ reflect.Type, prefix string, comments map[string]string) (rows []string) {
	outer := map[string]bool{}
	for i := range typ.NumField() {
		if !typ.Field(i).Anonymous {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			outer[name] = true
		}
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			_, _, inner := describeType(f.Type)
			for _, row := range fieldRows(t, inner, prefix, comments) {
				if !outer[strings.Trim(strings.Fields(row)[1], "`")] {
					rows = append(rows, row)
				}
			}
			continue
		case !f.IsExported() || name == "-" || name == "":
			continue
		}
		kind, below, inner := describeType(f.Type)
		switch omitted := strings.Contains(options, "omit"); {
		case omitted:
			kind += "?"
		case f.Type.Kind() == reflect.Pointer:
			kind += " or null"
		}
		meaning := inJSON(comments[typ.PkgPath()+"."+typ.Name()+"."+f.Name], typ)
		if meaning == "" {
			meaning = cmp.Or(wellKnown[typ.Name()+"."+name], wellKnown[name])
		}
		if meaning == "" {
			t.Errorf("no word on the field %s%s of --json: give it a comment", prefix, name)
		}
		rows = append(rows, fmt.Sprintf("| `%s%s` | %s | %s |\n", prefix, name, kind, meaning))
		if inner != nil {
			rows = append(rows, fieldRows(t, inner, prefix+name+below+".", comments)...)
		}
	}
	return rows
}

// describeType names a type as a reader of JSON knows it and returns, for one
// that has fields, what follows its name in a path and the type itself.
func describeType(t reflect.Type) (kind, below string, inner reflect.Type) {
	switch {
	case t == reflect.TypeFor[wire.Time]() || t == reflect.TypeFor[time.Time]():
		return "time", "", nil
	case t == reflect.TypeFor[wire.Stamp]():
		return "time or empty", "", nil
	case t.Kind() == reflect.Pointer:
		kind, below, inner = describeType(t.Elem())
		return kind, below, inner
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "any", "", nil
	case t.Kind() == reflect.Slice:
		kind, below, inner = describeType(t.Elem())
		return "array of " + kind, "[]" + below, inner
	case t.Kind() == reflect.Struct:
		return "object", "", t
	case t.Kind() == reflect.String:
		return "text", "", nil
	case t.Kind() == reflect.Bool:
		return "true or false", "", nil
	}
	return "number", "", nil
}

var (
	goField = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)
	blanks  = regexp.MustCompile(`\s+`)
)

// inJSON writes the comment on a Go field for a reader of JSON: the names of
// the fields of its struct become those in JSON, and its own, which begins
// many a comment, a plain word.
func inJSON(comment string, typ reflect.Type) string {
	text := goField.ReplaceAllStringFunc(comment, func(word string) string {
		if f, ok := typ.FieldByName(word); ok && len(word) > 2 {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return "`" + name + "`"
		}
		return word
	})
	return strings.ReplaceAll(blanks.ReplaceAllString(strings.TrimSpace(text), " "), "|", `\|`)
}

// fieldComments reads the comments on the fields of all structs in the
// packages of this module that are in dirs, by package path, type and field.
func fieldComments(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if s, ok := spec.Type.(*ast.StructType); ok {
					commentsOn(s, path.Join(module, filepath.ToSlash(dir))+"."+spec.Name.Name, comments)
				}
				return false
			})
		}
	}
	return comments
}

func commentsOn(s *ast.StructType, owner string, comments map[string]string) {
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			comments[owner+"."+name.Name] = strings.TrimSpace(f.Doc.Text() + " " + f.Comment.Text())
		}
	}
}
