package coordinator

import (
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
)

// FuzzStoreRecovery opens whatever a disk may hold: it is a store that works, or an error.
func FuzzStoreRecovery(f *testing.F) {
	one := appendBatch(nil, 0, appendEntry(nil, &raft.Log{Index: 1, Term: 1, Data: []byte("x")}))
	two := appendBatch(one, 1, appendKeep(appendDrop(appendCut(nil, 9), 1), "term", []byte("12345678")))
	for _, seed := range [][]byte{nil, one, two, two[:len(two)-3], append(two, one...), []byte(journalMagic),
		appendBatch(nil, 0, []byte{opEntry, 0, 0xff}), appendBatch(nil, 0, []byte{99})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		disk := vfs.NewMem(1)
		file, err := writeDurably(disk, journalName, content)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		s, err := openStore(disk, func(err error) { t.Fatal(err) })
		if err != nil {
			return
		}
		_, last := s.bounds()
		if last < 1<<60 {
			require.NoError(t, s.StoreLogs(entries(7, last+1, last+2)))
			requireEntry(t, s, 7, last+2)
		}
		require.NoError(t, s.Close())
	})
}
