package brokersim_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// noRoomFor makes a broker's disk refuse one sort of file.
func noRoomFor(b *brokersim.Broker, name string) (heal func()) {
	return brokersim.FaultsOf(b).Inject(vfs.Fault{Ops: needsRoom, Name: name, Err: syscall.ENOSPC, Keep: 5})
}

// bounce restarts a broker, so that it writes what is written at a start or an end.
func bounce(lose func(*brokersim.Broker) error) func(*testing.T, *brokertest.C, *brokersim.Broker) {
	return func(t *testing.T, c *brokertest.C, b *brokersim.Broker) {
		require.NoError(t, lose(b))
		_ = b.Start() // it may fail at once
	}
}

// The disk has no room for one of the files that a broker keeps, whichever it is.
func TestDiskFullForEachFile(t *testing.T) {
	nothing := func(*testing.T, *brokertest.C, *brokersim.Broker) {}
	for name, c := range map[string]struct {
		pattern string
		provoke func(*testing.T, *brokertest.C, *brokersim.Broker)
	}{
		"log":                    {"*.log", nothing},
		"index":                  {"*.index", nothing},
		"time index":             {"*.timeindex", nothing},
		"index at a start":       {"*.index", bounce((*brokersim.Broker).Kill)},
		"high watermarks":        {"replication-offset-checkpoint*", nothing},
		"epoch of the broker":    {"broker-epoch*", bounce((*brokersim.Broker).Kill)},
		"identity":               {"meta.properties*", wipeAndStart},
		"a new topic's log":      {"payments-*", createPayments},
		"a new topic's id":       {"partition.metadata*", createPayments},
		"leader epochs":          {"leader-epoch-checkpoint*", moveLeaders},
		"the rest, at power-off": {"*", bounce((*brokersim.Broker).PowerOff)},
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, cl *brokertest.C) {
				l := startSlowLoad(t, cl, "orders")
				full := cl.Followers("orders", 0)[0]
				heal := noRoomFor(full, c.pattern)
				c.provoke(t, cl, full)
				failed(t, cl, full, "no space left on device")
				heal()
				require.NoError(t, full.Start())
				equalAgain(t, cl, l)
				require.Empty(t, electedUncleanly(t, cl))
			}, busy())
		})
	}
}

func wipeAndStart(t *testing.T, c *brokertest.C, b *brokersim.Broker) {
	require.NoError(t, b.Kill())
	require.NoError(t, b.Wipe())
	require.ErrorContains(t, b.Start(), "meta.properties")
}

func createPayments(t *testing.T, c *brokertest.C, _ *brokersim.Broker) {
	require.NoError(t, c.Cluster.CreateTopic("payments", 1, 3))
}

// moveLeaders kills the leader: whoever is elected has to write down where its epoch starts.
func moveLeaders(t *testing.T, c *brokertest.C, b *brokersim.Broker) {
	old := c.Leader("orders", 0)
	require.NoError(t, old.Kill())
	c.Must(brokersim.NewLeader("orders", 0, old.ID()))
	time.Sleep(time.Second)
	require.NoError(t, old.Start())
}

// A controlled shutdown on a full disk says that it could not put everything in order. The
// next start needs no such proof, for the disk has lost nothing.
func TestStopOnAFullDisk(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		full := c.Leader("orders", 0)
		heal := noRoomFor(full, ".kafka_cleanshutdown*")
		require.ErrorContains(t, full.Stop(), "no space left on device")
		require.Equal(t, brokersim.Stopped, full.Process())
		heal()
		require.NoError(t, full.Start())
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	}, busy())
}
