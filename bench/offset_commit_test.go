package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// How many offset commits a second? One group, so one partition of __consumer_offsets,
// three replicas, in memory; each member commits one partition again and again, over a
// connection of its own, and waits for each answer. Nothing else is going on.
func BenchmarkOffsetCommit(b *testing.B) {
	for _, members := range []int{1, 64} {
		b.Run(fmt.Sprintf("members=%d/rf=3", members), func(b *testing.B) { offsetCommits(b, members) })
	}
}

func offsetCommits(b *testing.B, n int) {
	c := brokertest.Start(b, brokersim.InMemoryClients(), brokersim.Topic(topic, n, 1),
		brokersim.BrokerConfig("group.initial.rebalance.delay.ms=300"))
	members := newMembers(b, c, n)
	joinAll(b, members)
	requireOneEach(b, members)

	took := make([][]time.Duration, n)
	last := make([]int64, n)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	each(b, members, func(ctx context.Context, i int, m *member) error {
		for {
			offset := next.Add(1)
			if offset > int64(b.N) {
				return nil
			}
			began := time.Now()
			if err := m.commit(ctx, offset); err != nil {
				return err
			}
			took[i], last[i] = append(took[i], time.Since(began)), offset
		}
	})
	b.StopTimer()

	kept, err := committed(b.Context(), members[0].conn, partitionsOf(members))
	require.NoError(b, err)
	for i, m := range members {
		if last[i] > 0 {
			require.Equal(b, last[i], kept[m.owns[0]], "what member %d committed last", i)
		}
	}
	all := slices.Concat(took...)
	require.Len(b, all, b.N)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(ms(quantile(all, 0.5)), "p50-ms")
	b.ReportMetric(ms(quantile(all, 0.99)), "p99-ms")
}

func partitionsOf(members []*member) (all []int32) {
	for _, m := range members {
		all = append(all, m.owns...)
	}
	return all
}

// joinAll has everybody join at once.
func joinAll(tb testing.TB, members []*member) {
	each(tb, members, func(ctx context.Context, _ int, m *member) error { return m.join(ctx) })
}

// each lets all members do something at the same time, and waits for the last.
func each(tb testing.TB, members []*member, do func(ctx context.Context, i int, m *member) error) {
	ctx, cancel := context.WithTimeout(tb.Context(), 60*time.Second)
	defer cancel()
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = do(ctx, i, m) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(tb, err)
	}
}
