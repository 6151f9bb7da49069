package partition_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// manySegments is a compacted log of several segments with gaps in them.
func manySegments(t *testing.T) (disk *vfs.Mem, cfg partition.Config, logs []string) {
	disk = vfs.NewMem(0)
	cfg = partition.Config{Compacted: true, SegmentBytes: 400, IndexIntervalBytes: 1}
	l := open(t, disk, cfg)
	for i := range 40 {
		_, err := l.AppendAsLeader(batch("often=1", fmt.Sprintf("key-%d=%d", i, i)).Bytes(), 0, now)
		require.NoError(t, err)
	}
	require.Positive(t, compact(t, l, now, partition.Compaction{}).SegmentsLeft)
	require.NoError(t, l.Close())
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			logs = append(logs, dir+"/"+name)
		}
	}
	require.Greater(t, len(logs), 4)
	return disk, cfg, logs
}

// A start after a compaction reads no more than any other.
func TestOpenAfterACompactionReadsOnlyWhatItMust(t *testing.T) {
	disk, cfg, logs := manySegments(t)
	l, found := reopenClosed(t, disk, cfg)
	require.Empty(t, found.Corrupt)
	require.Positive(t, l.RecoveryPoint())
	require.NoError(t, l.Close())
	read, _ := cost(t, disk, cfg)
	active := logs[len(logs)-1]
	for _, name := range logs[:len(logs)-1] {
		f, err := disk.Open(name)
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Less(t, read[name], size, "%s; the active one is %s", name, active)
	}
}

func reopenClosed(t *testing.T, disk vfs.FS, cfg partition.Config) (*partition.Log, partition.Recovery) {
	t.Helper()
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	return l, found
}

// In a compacted log no offset that is missing tells that a segment is gone, or ends
// before it did. It is noticed all the same, and nothing behind the hole counts.
func TestHolesInACompactedLog(t *testing.T) {
	for what, hurt := range map[string]func(t *testing.T, disk vfs.FS, name string){
		"gone": func(t *testing.T, disk vfs.FS, name string) { require.NoError(t, disk.Remove(name)) },
		"without its last batch": func(t *testing.T, disk vfs.FS, name string) {
			edit(t, disk, name, func(b []byte) []byte {
				keep := 0
				for batch := range partition.Batches(b) {
					if keep+len(batch) < len(b) {
						keep += len(batch)
					}
				}
				return b[:keep]
			})
		},
		"empty": func(t *testing.T, disk vfs.FS, name string) { edit(t, disk, name, func([]byte) []byte { return nil }) },
	} {
		for nth := 1; nth < 4; nth++ {
			t.Run(fmt.Sprintf("%s/%d", what, nth), func(t *testing.T) {
				disk, cfg, logs := manySegments(t)
				l, _ := reopenClosed(t, disk, cfg)
				whole := words(t, l)
				require.NoError(t, l.Close())
				hurt(t, disk, logs[nth])
				l, found := reopenClosed(t, disk, cfg)
				require.Len(t, found.Corrupt, 1)
				left := words(t, l)
				require.Less(t, len(left), len(whole))
				require.Equal(t, whole[:len(left)], left, "a beginning, and nothing behind the hole")
				_, err := l.AppendAsLeader(batch("x=1").Bytes(), 1, now)
				require.NoError(t, err)
				l, found = reopen(t, l, disk, cfg)
				require.Empty(t, found.Corrupt, "it is told once")
				require.NoError(t, l.Close())
			})
		}
	}
}
