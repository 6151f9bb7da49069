package peers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

// fake returns franz-go's kfake: three brokers, and each record in one place, whatever the
// replication factor says.
func fake(promise string, opts ...kfake.Opt) contender {
	return contender{
		name:    "kfake",
		promise: promise,
		start:   func(tb testing.TB, partitions int) cluster { return startFake(tb, partitions, opts...) },
	}
}

func inMemory() contender { return fake("in memory, once; nothing is replicated") }

func onDisk() contender {
	c := fake("")
	c.promise = "written to files, once; not synced; nothing is replicated"
	c.start = func(tb testing.TB, partitions int) cluster {
		return startFake(tb, partitions, kfake.DataDir(tb.TempDir()))
	}
	return c
}

// virtual has kfake's clients come over its network in memory.
func virtual() contender {
	c := inMemory()
	c.start = func(tb testing.TB, partitions int) cluster {
		var net kfake.VirtualNetwork
		f := startFake(tb, partitions, kfake.ListenFn(net.Listen), kfake.Ports(9001, 9002, 9003))
		f.dial = net.DialContext
		return f
	}
	return c
}

func startFake(tb testing.TB, partitions int, opts ...kfake.Opt) *speaker {
	f, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(int32(partitions), topic)}, opts...)...)
	require.NoError(tb, err)
	return &speaker{topic: topic, addrs: f.ListenAddrs(), stop: f.Close}
}
