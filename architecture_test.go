package brokersim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/brokersim/brokersim"

// picture is who may import whom, besides the standard library: the arrows of
// ARCHITECTURE.md. A name that ends in "/..." stands for all below it. Everybody
// may import what is under "all".
var picture = map[string]string{
	"all":                       "internal/guard",
	"cmd/...":                   ". event history github.com/spf13/cobra golang.org/x/term",
	"examples/...":              ". event history examples/internal/... github.com/twmb/franz-go/...",
	"bench bench/...":           ". ./... github.com/...",
	"simulation simulation/...": ". ./... github.com/...",
	"brokertest":                ". event history internal/invariant",
	".":                         "broker broker/groups coordinator consumergroup metadata event internal/gate internal/network internal/vfs github.com/twmb/franz-go/pkg/kmsg github.com/twmb/franz-go/pkg/kerr",
	"broker":                    "broker/groups wire replication partition metadata event internal/gate internal/slab internal/vfs github.com/twmb/franz-go/pkg/kmsg github.com/twmb/franz-go/pkg/kerr",
	"broker/groups":             "wire replication partition consumergroup consumergroup/offsets metadata event internal/gate github.com/twmb/franz-go/pkg/kmsg",
	"coordinator":               "coordinator/state consumergroup wire metadata event internal/gate internal/vfs github.com/hashicorp/... go.etcd.io/bbolt github.com/twmb/franz-go/pkg/kmsg",
	"replication":               "partition metadata event internal/gate internal/slab",
	"partition":                 "metadata internal/slab internal/vfs internal/codec github.com/twmb/franz-go/pkg/kmsg",
	"wire":                      "metadata internal/slab github.com/twmb/franz-go/pkg/kmsg github.com/twmb/franz-go/pkg/kerr",
	"internal/codec":            "github.com/twmb/franz-go/pkg/kgo github.com/klauspost/compress/... github.com/pierrec/lz4/...",
	"coordinator/state":         "metadata",
	"consumergroup":             "metadata github.com/twmb/franz-go/pkg/kmsg",
	"consumergroup/offsets":     "consumergroup metadata github.com/twmb/franz-go/pkg/kmsg",
	"event":                     "metadata",
	"history":                   "metadata",
	"internal/invariant":        "metadata",
	"internal/network":          "internal/gate internal/slab",
	"internal/vfs":              "internal/gate internal/slab",
	"internal/gate":             "",
	"internal/slab":             "",
	"internal/guard":            "",
	"metadata":                  "",
}

// testHelpers may import what they need and may be imported by tests only.
var testHelpers = []string{"partition/batchtest"}

func TestArrowsGoDownOnly(t *testing.T) {
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		if allows(strings.Join(testHelpers, " "), name) {
			continue
		}
		may, ok := allowed(name)
		require.True(t, ok, "package %s is not in the picture: put it there, and into ARCHITECTURE.md", name)
		for _, imported := range p.Imports {
			if to := short(imported); strings.Contains(strings.Split(to, "/")[0], ".") || to != imported {
				require.True(t, allows(may, to), "%s imports %s: no arrow of the picture goes there", name, to)
			}
		}
	}
}

// allowed returns what a package may import.
func allowed(name string) (may string, ok bool) {
	for from, to := range picture {
		if allows(from, name) {
			return to + " " + picture["all"], true
		}
	}
	return "", false
}

// allows reports whether name is in a list of names.
func allows(list, name string) bool {
	for _, pattern := range strings.Fields(list) {
		below, all := strings.CutSuffix(pattern, "/...")
		ours := below == "." && !strings.Contains(strings.Split(name, "/")[0], ".")
		if pattern == name || all && (ours || strings.HasPrefix(name, below+"/")) {
			return true
		}
	}
	return false
}

// short names a package of ours from the module's root, which is ".".
func short(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

type listed struct {
	ImportPath string
	Imports    []string // of the files that are no tests
}

func packages(t *testing.T) (all []listed) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		t.Fatalf("go list: %s", e.Stderr)
	}
	require.NoError(t, err)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

// The test itself must be able to fail.
func TestPictureRefuses(t *testing.T) {
	for from, to := range map[string]string{
		"broker": "coordinator", "coordinator": "broker", "replication": "wire", "metadata": "github.com/stretchr/testify/require",
		"broker ": "internal/network", "brokertest": "broker", "examples/failover": "coordinator", ".": "wire", "partition": "partition/batchtest",
	} {
		may, ok := allowed(strings.TrimSpace(from))
		require.True(t, ok, from)
		require.False(t, allows(may, to), "%s may import %s", from, to)
	}
	_, ok := allowed("internal/util")
	require.False(t, ok)
	for from, to := range map[string]string{"bench/produce": "coordinator/state", "coordinator": "github.com/hashicorp/raft", "event": "internal/guard"} {
		may, _ := allowed(from)
		require.True(t, allows(may, to), "%s may not import %s", from, to)
	}
}
