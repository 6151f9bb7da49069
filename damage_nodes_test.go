package brokersim_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// quorumOf has decided so much that there are snapshots, and one of its nodes is down.
func quorumOf(t *testing.T, c *brokertest.C, topics int) (down *brokersim.Node, l *load) {
	t.Helper()
	l = startSlowLoad(t, c, "orders")
	for i := range topics {
		c.CreateTopic(fmt.Sprint("topic-", i), 1, 1)
	}
	time.Sleep(5 * time.Second)
	down = c.Coordinator().Nodes()[2]
	require.NoError(t, down.Kill())
	c.Must(brokersim.ActiveCoordinator())
	return down, l
}

// goesOn starts a node after damage. It refuses with one line that names the damage, and
// the others decide without it; or it takes part and knows what the others know.
func goesOn(t *testing.T, c *brokertest.C, node *brokersim.Node, l *load, says ...string) (refused bool) {
	t.Helper()
	if err := node.Start(); err != nil {
		ok := false
		for _, s := range says {
			ok = ok || strings.Contains(err.Error(), s)
		}
		require.True(t, ok, "%v", err)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, brokersim.Failed, node.Process())
		refused = true
	}
	c.CreateTopic("after", 1, 1)
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		for _, n := range s.Quorum.Nodes {
			if n.Process.Up() && n.Offset != s.Offset {
				return false, "every node to know everything"
			}
		}
		return true, ""
	})
	equalAgain(t, c, l)
	return refused
}

// Damage in the files of a coordinator node: its journal in memory, its snapshots.
func TestDamageOfACoordinatorNode(t *testing.T) {
	for file, kind := range map[string]string{"raft.log": "memory", "snapshot-": "memory", "meta.properties": "files"} {
		for how, hurt := range damages {
			t.Run(file+" "+how, func(t *testing.T) {
				onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
					node, l := quorumOf(t, c, 6)
					disk, done := brokersim.NodeFilesOf(node), false
					names, err := disk.List(".")
					require.NoError(t, err)
					for _, name := range names {
						if strings.HasPrefix(name, file) {
							hurt(t, disk, name)
							done = true
						}
					}
					require.True(t, done, "there is no %s here", file)
					goesOn(t, c, node, l, "is corrupt", "the newest whole snapshot ends at", "meta.properties")
				}, busy(), brokersim.SnapshotEvery(4))
			})
		}
	}
}

// A bit flips somewhere in the database, or part of it goes. Wherever an entry is, that is
// noticed; nothing that happens to it brings the process down.
func TestDamageOfADatabase(t *testing.T) {
	dir, flips := t.TempDir(), 8
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, busy(), brokersim.DataDir(dir))
		node, l := quorumOf(t, c, 12)
		disk, err := vfs.NewOS(filepath.Join(dir, node.Name()))
		require.NoError(t, err)
		whole, err := vfs.ReadFile(disk, "raft.db")
		require.NoError(t, err)
		refused := 0
		for i := range flips {
			require.NoError(t, vfs.WriteFileSynced(disk, "raft.db", whole))
			flip(t, disk, "raft.db", float64(i)/float64(flips)*0.5) // the second half is empty
			if err := node.Start(); err != nil {
				require.ErrorContains(t, err, "raft.db: ")
				require.NotContains(t, err.Error(), "\n")
				refused++
				continue
			}
			time.Sleep(2 * time.Second)
			require.NoError(t, node.Kill())
		}
		t.Logf("%d of %d flipped bits were noticed; the others hit what is not in use", refused, flips)
		require.Positive(t, refused)
		for how, says := range map[string]string{"emptied": "the database is gone", "cut in half": "", "removed": "the database is gone"} {
			require.NoError(t, vfs.WriteFileSynced(disk, "raft.db", whole))
			damages[how](t, disk, "raft.db")
			if err := node.Start(); err != nil {
				require.ErrorContains(t, err, says)
			} else {
				require.Empty(t, says)
				require.NoError(t, node.Kill())
			}
		}
		require.NoError(t, vfs.WriteFileSynced(disk, "raft.db", whole))
		require.False(t, goesOn(t, c, node, l))
	})
}
