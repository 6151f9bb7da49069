package kafka

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// The check itself must be able to fail: whatever is damaged, the tool says so in words
// that are taken for a complaint.
func TestDumpFindsDamage(t *testing.T) {
	kafka(t)
	whole := writeOne(t)
	for name, d := range map[string]struct {
		suffix string
		flag   string
		damage func(b []byte) []byte
	}{
		"a position":               {".index", "--verify-index-only", func(b []byte) []byte { b[8+7]++; return b }},
		"an offset":                {".index", "--verify-index-only", func(b []byte) []byte { b[8+3]++; return b }},
		"a torn index":             {".index", "--index-sanity-check", func(b []byte) []byte { return b[:len(b)-3] }},
		"a timestamp":              {".timeindex", "--verify-index-only", func(b []byte) []byte { b[12+7]++; return b }},
		"a timestamp that is old":  {".timeindex", "--verify-index-only", func(b []byte) []byte { b[12+5]--; return b }},
		"the offset of a time":     {".timeindex", "--verify-index-only", func(b []byte) []byte { b[12+11]--; return b }},
		"a torn time index":        {".timeindex", "--index-sanity-check", func(b []byte) []byte { return b[:len(b)-3] }},
		"a record":                 {".log", "--deep-iteration", func(b []byte) []byte { b[80] ^= 1; return b }},
		"a torn batch":             {".log", "--deep-iteration", func(b []byte) []byte { return b[:len(b)-3] }},
		"an offset that goes back": {".log", "--deep-iteration", func(b []byte) []byte { b[7]++; return b }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
			found, err := filepath.Glob(filepath.Join(dir, "*"+d.suffix))
			require.NoError(t, err)
			_, complaints := dumpTool(t, found, d.flag)
			require.Empty(t, complaints, "before")
			b, err := os.ReadFile(found[0])
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(found[0], d.damage(b), 0o644))
			_, complaints = dumpTool(t, found, d.flag)
			require.NotEmpty(t, complaints)
			t.Log(complaints[0])
		})
	}
}

// writeOne writes a log of one segment.
func writeOne(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	disk, err := vfs.NewOS(dir)
	require.NoError(t, err)
	l, _, err := partition.Open(disk, "a-0", partition.Config{IndexIntervalBytes: 200})
	require.NoError(t, err)
	for i := range 50 {
		spec := batchtest.Spec{Records: batchtest.Values("one", "two", "three")}
		for n := range spec.Records {
			spec.Records[n].Timestamp = batchtest.Timestamp + int64(1000*i)
		}
		_, err := l.AppendAsLeader(spec.Bytes(), 1, time.UnixMilli(batchtest.Timestamp))
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	return filepath.Join(dir, "a-0")
}
