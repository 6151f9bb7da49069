package brokersim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// diskKinds are the disks that a cluster can have.
var diskKinds = []string{"memory", "files"}

// filesToo reports whether BROKERSIM_FILES asks for real files in every case. Without it
// they are part of a few cases of each sort: what a broker decides is the same on both.
func filesToo() bool { return os.Getenv("BROKERSIM_FILES") != "" }

// onDisks runs f in virtual time on a cluster with disks in memory, and on one whose
// disks are real files.
func onDisks(t *testing.T, f func(t *testing.T, c *brokertest.C), opts ...brokersim.Option) {
	t.Helper()
	for _, kind := range diskKinds {
		t.Run(kind, func(t *testing.T) { onDisk(t, kind, f, opts...) })
	}
}

// onDisk runs f in virtual time on a cluster with disks of one kind, beside the other
// cases of its test: real files are waited for more than they are worked on.
func onDisk(t *testing.T, kind string, f func(t *testing.T, c *brokertest.C), opts ...brokersim.Option) {
	t.Helper()
	t.Parallel()
	if kind == "files" {
		opts = append(opts, brokersim.DataDir(t.TempDir()))
	}
	brokertest.Virtual(t, func(t *testing.T) { f(t, brokertest.Start(t, opts...)) })
}

// brokerState is a broker of a snapshot.
func brokerState(t testing.TB, c *brokertest.C, b *brokersim.Broker) brokersim.BrokerState {
	t.Helper()
	state, ok := c.Snapshot().Broker(b.ID())
	require.True(t, ok)
	return state
}

// failed waits until a broker has given up for a reason that is told with these words,
// in the snapshot and in the dump.
func failed(t testing.TB, c *brokertest.C, b *brokersim.Broker, words ...string) {
	t.Helper()
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		state, _ := s.Broker(b.ID())
		return state.Process == brokersim.Failed, fmt.Sprintf("broker %d to give up: it is %s", b.ID(), state.Process)
	})
	var dump strings.Builder
	c.Dump(&dump)
	for _, w := range words {
		require.Contains(t, brokerState(t, c, b).Failure, w)
		require.Contains(t, dump.String(), w)
	}
}

// equalAgain requires that all replicas are in sync and equal, and that no order that
// was acked is missing. The load is stopped.
func equalAgain(t testing.TB, c *brokertest.C, l *load) {
	t.Helper()
	c.Must(brokersim.FullISR())
	l.stop()
	l.kept(t)
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		p, _ := s.Partition("orders", 0)
		for _, r := range p.Replicas {
			if r.LEO != p.Replicas[0].LEO || r.HW != r.LEO {
				return false, "all replicas to be level"
			}
		}
		return len(p.Replicas) == len(p.Assigned), "every replica"
	})
	end := c.Partition("orders", 0).HighWatermark
	var first []brokersim.Batch
	for i, b := range c.Brokers() {
		batches, err := b.Batches("orders", 0, 0, end)
		require.NoError(t, err)
		if i == 0 {
			first = batches
		}
		require.Equal(t, first, batches, "broker %d", b.ID())
	}
}
