package brokersim_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the documents say of the code stays true, as far as a test can tell.

var documents = []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"}

func TestDocumentsNameWhatExists(t *testing.T) {
	for _, name := range documents {
		prose, _ := split(document(t, name))
		for _, span := range codeSpan.FindAllStringSubmatch(prose, -1) {
			if wrong := untrue(t, path.Dir(name), span[1]); wrong != "" {
				t.Errorf("%s: `%s`: %s", name, span[1], wrong)
			}
		}
		for _, link := range localLink.FindAllStringSubmatch(prose, -1) {
			require.FileExists(t, filepath.Join(path.Dir(name), link[1]), name)
		}
	}
}

// The test itself must be able to fail.
func TestDocumentsNameWhatExistsRefuses(t *testing.T) {
	for span, ok := range map[string]bool{
		"cluster.go":                        true,
		"cluster.go: New":                   true,
		"partition/log.go: Log, StartEpoch": true,
		"coordinator/state/brokers.go: AllocateProducerIDs.apply": true,
		"broker/api_*.go":               true,
		"coordinator/state":             true,
		"examples/failover/":            true,
		"go test ./...":                 true,
		"github.com/twmb/franz-go":      true,
		"clustre.go":                    false,
		"cluster.go: Nevv":              false,
		"partition/log.go: Log, nobody": false,
		"partition/nothing.go":          false,
		"partition/nothing":             false,
		"broker/pia_*.go":               false,
	} {
		require.Equal(t, ok, untrue(t, ".", span) == "", "%s: %s", span, untrue(t, ".", span))
	}
}

// The arrows of ARCHITECTURE.md are those of architecture_test.go.
func TestArrowsAreDrawn(t *testing.T) {
	drawn := map[string][]string{}
	_, blocks := split(document(t, "ARCHITECTURE.md"))
	for _, line := range strings.Split(strings.TrimSpace(blocks["arrows"]), "\n") {
		from, to := line, ""
		if i := strings.Index(line, "  "); i > 0 {
			from, to = line[:i], line[i:]
		}
		drawn[from] = strings.Fields(to)
	}
	held := map[string][]string{}
	for from, to := range picture {
		held[from] = slices.DeleteFunc(strings.Fields(to), foreign)
	}
	delete(held, "all") // said in words
	for from := range held {
		require.ElementsMatch(t, held[from], drawn[from], from)
	}
	require.Len(t, drawn, len(held))
}

// foreign reports whether a package is none of ours.
func foreign(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first != "." && strings.Contains(first, ".")
}

// What README.md shows of a test is from a test that runs.
func TestReadmeQuotesARunningTest(t *testing.T) {
	const source = "examples/first-test/orders_test.go"
	text := document(t, source)
	_, blocks := split(document(t, "README.md"))
	require.NotEmpty(t, blocks["go"])
	for _, part := range strings.Split(strings.TrimSpace(blocks["go"]), "\n\n\n") {
		require.Contains(t, text, part, "not in %s", source)
	}
}

// A package's book names files that exist.
func TestBooksNameFilesThatExist(t *testing.T) {
	goFile := regexp.MustCompile(`[A-Za-z0-9_*./-]*[A-Za-z0-9_*]\.go\b`)
	books := 0
	require.NoError(t, filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "doc.go" {
			return err
		}
		books++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		for _, mention := range goFile.FindAllString(file.Doc.Text(), -1) {
			if !exists(filepath.Join(path.Dir(name), mention)) && !exists(mention) {
				t.Errorf("%s names %s: there is no such file", name, mention)
			}
		}
		return nil
	}))
	require.Greater(t, books, 12)
}

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	localLink = regexp.MustCompile(`\]\(([^):]+)\)`)
	goFileAt  = regexp.MustCompile(`^([\w./*-]+\.go)(?:: (.+))?$`)
	placeAt   = regexp.MustCompile(`^([\w-]+)(?:/[\w.-]+)+/?$`)
)

// untrue says what is wrong with a code span of a document in dir; "" if nothing is.
func untrue(t *testing.T, dir, span string) string {
	span = strings.Join(strings.Fields(span), " ") // it may be broken over two lines
	if m := goFileAt.FindStringSubmatch(span); m != nil {
		file := m[1]
		if !exists(file) {
			file = path.Join(dir, file)
		}
		if !exists(file) {
			return "there is no such file"
		}
		if m[2] == "" {
			return ""
		}
		names := declared(t, file)
		for _, name := range strings.Split(m[2], ", ") {
			if !slices.Contains(names, name) {
				return name + " is not declared there"
			}
		}
		return ""
	}
	if m := placeAt.FindStringSubmatch(span); m != nil && exists(m[1]) && !exists(span) {
		return "there is no such place"
	}
	return ""
}

// exists reports whether a path, or any for a pattern, is there.
func exists(pattern string) bool {
	found, err := filepath.Glob(strings.TrimSuffix(pattern, "/"))
	return err == nil && len(found) > 0
}

// declared lists what a file declares: functions, types, methods by their own names
// and as Type.method.
func declared(t *testing.T, name string) (names []string) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
			if d.Recv != nil {
				names = append(names, receiver(d.Recv.List[0].Type)+"."+d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// split parts a document into its prose and its fenced blocks by language; blocks
// of one language are joined with two empty lines between them.
func split(text string) (prose string, blocks map[string]string) {
	blocks = map[string]string{}
	var out, block strings.Builder
	language, inside := "", false
	for line := range strings.Lines(text) {
		fence, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case ok && inside:
			blocks[language] += strings.TrimRight(block.String(), "\n") + "\n\n\n"
			block.Reset()
			inside = false
		case ok:
			language, inside = fence, true
		case inside:
			block.WriteString(line)
		default:
			out.WriteString(line)
		}
	}
	return out.String(), blocks
}

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}
