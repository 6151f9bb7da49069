package peers

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// quiet keeps what nodes log out of the figures.
var quiet = brokersim.Logger(slog.New(slog.DiscardHandler))

// ours returns brokersim: three brokers, three coordinator nodes, default settings.
// Nothing is traced.
func ours(rf int, where string, opts ...brokersim.Option) contender {
	promise := fmt.Sprintf("on %d of 3 brokers, each with a log of its own, written to %s; not synced", rf, where)
	if where == "memory" && rf > 1 {
		promise += "; each has checked what it has, and the bytes of batches from 1 KiB on are there once for all of them"
	}
	return contender{
		name:    fmt.Sprintf("brokersim-rf%d", rf),
		promise: promise,
		start: func(tb testing.TB, partitions int) cluster {
			all := append([]brokersim.Option{brokersim.Topic(topic, partitions, rf), quiet}, opts...)
			if where == "disk" {
				all = append(all, brokersim.DataDir(tb.TempDir()))
			}
			c := brokertest.Start(tb, all...)
			return &speaker{
				topic: topic, addrs: c.Addrs(), dial: c.Dial,
				whole: func(tb testing.TB, records int64) { requireReplicas(tb, c, rf, records) },
				stop:  func() { require.NoError(tb, c.Close()) },
			}
		},
	}
}

// requireReplicas checks that each record is on as many brokers as it should be.
func requireReplicas(tb testing.TB, c *brokertest.C, rf int, records int64) {
	var logs, copies int64
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		logs, copies = 0, 0
		for _, p := range s.Partitions {
			logs += p.HighWatermark
			for _, r := range p.Replicas {
				copies += r.LEO
			}
		}
		return logs == records && copies == records*int64(rf), "every replica to have every record"
	})
	require.Equal(tb, records, logs)
}
