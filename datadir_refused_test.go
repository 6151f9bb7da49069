package brokersim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// bytesOf is every file below a directory, and every directory.
func bytesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			all[path] = "directory"
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)
		return err
	}))
	return all
}

func made(t *testing.T, opts ...brokersim.Option) (dir string) {
	t.Helper()
	dir = t.TempDir()
	c, err := brokersim.New(t.Context(), append(opts, brokersim.DataDir(dir))...)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return dir
}

// replace edits a file of a directory.
func replace(name, old, with string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(text), old)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(text), old, with, 1)), 0o644))
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
}

// exchange gives a directory the node's of another cluster, or another node's.
func exchange(node, with string, other func(t *testing.T) string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		from := dir
		if other != nil {
			from = other(t)
		}
		require.NoError(t, os.RemoveAll(filepath.Join(dir, node)))
		require.NoError(t, os.CopyFS(filepath.Join(dir, node), os.DirFS(filepath.Join(from, with))))
	}
}

// Whatever is wrong with a directory is said in one line, and nothing in it is touched.
func TestDirectoriesThatAreRefused(t *testing.T) {
	another := func(t *testing.T) string { return made(t, brokersim.Topic("orders", 1, 3)) }
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		opts  []brokersim.Option
		says  string
	}{
		"other things": {func(t *testing.T, dir string) {
			remove("cluster.json")(t, dir)
		}, nil, "it has no cluster.json but holds other things"},
		"a newer version":          {replace("cluster.json", `"version": 1`, `"version": 2`), nil, "a newer brokersim made it, in format 2"},
		"a newer broker":           {replace("broker-3/meta.properties", "version=1", "version=2"), nil, `broker-3: its meta.properties has version "2"`},
		"a damaged identity":       {replace("cluster.json", `{`, `[`), nil, "cluster.json is damaged"},
		"an identity cut off":      {replace("cluster.json", `"cluster.id": "`, `"was": "`), nil, "cluster.json is damaged"},
		"more brokers":             {nil, []brokersim.Option{brokersim.Brokers(4)}, "say Brokers(3)"},
		"fewer brokers":            {nil, []brokersim.Option{brokersim.Brokers(2)}, "say Brokers(3)"},
		"fewer coordinators":       {nil, []brokersim.Option{brokersim.Coordinators(1)}, "say Coordinators(3)"},
		"another default":          {nil, []brokersim.Option{brokersim.BrokerConfig("min.insync.replicas=2")}, `say BrokerConfig("min.insync.replicas=1")`},
		"no broker 2":              {remove("broker-2"), nil, "broker-2: its meta.properties is missing"},
		"no coordinator 3":         {remove("coordinator-3"), nil, "coordinator-3: its meta.properties is missing"},
		"no database":              {remove("coordinator-1/raft.db"), nil, "coordinator-1: its raft.db is missing"},
		"another cluster's":        {exchange("broker-1", "broker-1", another), nil, "broker-1: it belongs to cluster "},
		"another coordinator's":    {exchange("coordinator-1", "coordinator-1", another), nil, "coordinator-1: it belongs to cluster "},
		"another broker's":         {exchange("broker-1", "broker-2", nil), nil, "broker-1: it belongs to node 2"},
		"another coordinator node": {exchange("coordinator-3", "coordinator-2", nil), nil, "coordinator-3: it belongs to node 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t)
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			before := bytesOf(t, dir)
			_, err := brokersim.New(t.Context(), append(c.opts, brokersim.DataDir(dir))...)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, dir)
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, before, bytesOf(t, dir))
		})
	}
}

func TestADirectoryThatIsNoneOfOurs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), []byte("chapter 1"), 0o644))
	_, err := brokersim.New(t.Context(), brokersim.DataDir(dir))
	require.ErrorContains(t, err, "holds other things, such as thesis.tex: empty it or name another one")
	require.Equal(t, map[string]string{dir: "directory", filepath.Join(dir, "thesis.tex"): "chapter 1"}, bytesOf(t, dir))

	file := filepath.Join(dir, "thesis.tex")
	_, err = brokersim.New(t.Context(), brokersim.DataDir(file))
	require.ErrorContains(t, err, file)
	_, err = brokersim.New(t.Context(), brokersim.DataDir(""))
	require.ErrorContains(t, err, "name a directory")
}

func TestADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	c := brokertest.Start(t, brokersim.DataDir(dir), brokersim.Topic("orders", 1, 1))
	_, err := brokersim.New(t.Context(), brokersim.DataDir(dir))
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "it is in use by another cluster")
	require.NotContains(t, err.Error(), "\n")
	require.NoError(t, c.Close())
	again, err := brokersim.New(t.Context(), brokersim.DataDir(dir))
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

// A cluster that could not be started leaves no directory, or goes on with it later.
func TestADirectoryThatWasNotUsed(t *testing.T) {
	c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1))
	dir := filepath.Join(t.TempDir(), "new")
	port := c.Addrs()[0]
	_, err := brokersim.New(t.Context(), brokersim.DataDir(dir), brokersim.Ports(portOf(t, port)), brokersim.Brokers(1))
	require.ErrorContains(t, err, "is taken")
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	once(t, dir, func(*testing.T, *brokertest.C) {}, brokersim.Brokers(5), brokersim.Coordinators(1))
}
