package roost_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// Only the command line and the servers of pages and mail talk to the user: everybody else returns what it has to say.
func TestOnlyTheTopPrints(t *testing.T) {
	all := readTree(t)
	printers := map[string][]string{
		"fmt": {"Print", "Printf", "Println"},
		"os":  {"Stdout", "Stderr"},
		"log": {"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
	}
	all.code(func(dir string, s source) {
		if top, _, _ := strings.Cut(dir, "/"); slices.Contains([]string{"cmd", "web", "imapd", "bench"}, top) {
			return
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if of, ok := n.X.(*ast.Ident); ok && slices.Contains(printers[of.Name], n.Sel.Name) {
					t.Errorf("%s: %s.%s below cmd", s.at(all.fset, n), of.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if of, ok := n.Fun.(*ast.Ident); ok && (of.Name == "print" || of.Name == "println") {
					t.Errorf("%s: the builtin %s", s.at(all.fset, n), of.Name)
				}
			}
			return true
		})
	})
}

// Nothing happens because a package is imported.
func TestNoEffectOfImporting(t *testing.T) {
	all := readTree(t)
	all.code(func(_ string, s source) {
		for _, spec := range s.file.Imports {
			if spec.Name != nil && (spec.Name.Name == "_" && spec.Path.Value != `"embed"` || spec.Name.Name == ".") {
				t.Errorf("%s: import %s %s", s.at(all.fset, spec), spec.Name.Name, spec.Path.Value)
			}
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", s.at(all.fset, f))
			}
		}
	})
}

// A variable of a package is a table, an error, a pattern or an embedded file: it has a value from the start, is nothing
// that changes by its nature, and nobody assigns to it or takes its address.
func TestNoMutablePackageState(t *testing.T) {
	all := readTree(t)
	for _, dir := range all.packages() {
		vars := map[types.Object]bool{}
		info := resolve(all, dir)
		for _, s := range all.dirs[dir] {
			if s.test {
				continue
			}
			for spec, embedded := range packageVars(s.file) {
				for _, name := range spec.Names {
					if name.Name == "_" {
						continue
					}
					vars[info.Defs[name]] = true
					switch {
					case len(spec.Values) == 0 && !embedded:
						t.Errorf("%s: variable %s of package %s has no value, so it must be state", s.at(all.fset, name), name.Name, dir)
					case changing(spec):
						t.Errorf("%s: variable %s of package %s changes by its nature", s.at(all.fset, name), name.Name, dir)
					}
				}
			}
		}
		delete(vars, nil)
		for _, s := range all.dirs[dir] {
			if !s.test {
				for _, where := range changes(s.file, info, vars) {
					t.Errorf("%s: %s", s.at(all.fset, where.node), where.what)
				}
			}
		}
	}
}

// packageVars yields the declarations of variables at the top of a file, and whether go:embed fills them.
func packageVars(file *ast.File) map[*ast.ValueSpec]bool {
	specs := map[*ast.ValueSpec]bool{}
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			specs[v] = hasEmbed(g.Doc) || hasEmbed(v.Doc)
		}
	}
	return specs
}

func hasEmbed(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// changing tells whether a variable is a lock, a pool, an atomic, a channel or a map that is made empty.
func changing(spec *ast.ValueSpec) bool {
	found := false
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.SelectorExpr:
			of, ok := n.X.(*ast.Ident)
			found = found || ok && (of.Name == "atomic" || of.Name == "sync" && !strings.HasPrefix(n.Sel.Name, "Once"))
		case *ast.ChanType:
			found = true
		case *ast.CompositeLit:
			_, isMap := n.Type.(*ast.MapType)
			found = found || isMap && len(n.Elts) == 0
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.Ident)
			found = found || ok && (f.Name == "make" || f.Name == "new")
		}
		return true
	}
	if spec.Type != nil {
		ast.Inspect(spec.Type, look)
	}
	for _, v := range spec.Values {
		ast.Inspect(v, look)
	}
	return found
}

// resolve finds which name means what in a package. Imports are not followed, so that types stay unknown; the names of
// the package's own variables do not.
func resolve(all tree, dir string) *types.Info {
	var files []*ast.File
	for _, s := range all.dirs[dir] {
		if !s.test {
			files = append(files, s.file)
		}
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{
		Importer:                 noImports{},
		Error:                    func(error) {}, // the compiler's business
		DisableUnusedImportCheck: true,
	}
	config.Check(dir, all.fset, files, info)
	return info
}

// noImports lets every import fail.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("import %s: not followed", path)
}

// change is a place where a variable of a package is written to or could be.
type change struct {
	node ast.Node
	what string
}

// changes finds them in a file: assignments to a variable, its elements and fields, and its address.
func changes(file *ast.File, info *types.Info, vars map[types.Object]bool) []change {
	var found []change
	check := func(e ast.Expr, what string) {
		if name := root(e); name != nil && vars[info.Uses[name]] {
			found = append(found, change{e, what + " " + name.Name})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				check(e, "assigns to package variable")
			}
		case *ast.IncDecStmt:
			check(n.X, "counts in package variable")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				check(n.Key, "assigns to package variable")
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
				check(n.Args[0], "removes from package variable")
			}
		case *ast.UnaryExpr:
			if _, whole := n.X.(*ast.Ident); whole && n.Op == token.AND {
				check(n.X, "takes the address of package variable")
			}
		}
		return true
	})
	return found
}

// root is the variable that an expression as x.f[i] begins with, nil if it begins with something else.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// Each package says in a comment what it is.
func TestPackageComments(t *testing.T) {
	all := readTree(t)
	for _, dir := range all.packages() {
		var doc string
		var name string
		for _, s := range all.dirs[dir] {
			if !s.test {
				name = s.file.Name.Name
				doc += s.file.Doc.Text()
			}
		}
		if want := "Package " + name + " "; name != "main" && !strings.HasPrefix(doc, want) {
			t.Errorf("the comment of package %s begins with %.40q, want %q", dir, doc, want)
		}
		if doc == "" {
			t.Errorf("package %s has no comment", dir)
		}
	}
}
