package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// How long does a big group rebalance? All members but one are waiting in JoinGroup; the
// time runs from the last one's join to the last member's assignment, each over a
// connection of its own, in memory. whole-ms begins with the first join: it adds that the
// coordinator hears of each member. Between the two lies a pause, in which the joins arrive.
//
// Nobody waits for heartbeats here: what a real client adds is the time until its next one.
func BenchmarkRebalance(b *testing.B) {
	for _, n := range []int{10, 100, 1_000} {
		b.Run(fmt.Sprintf("members=%d/partitions=%d", n, n), func(b *testing.B) { rebalance(b, n) })
	}
}

func rebalance(b *testing.B, n int) {
	c := brokertest.Start(b, brokersim.InMemoryClients(), brokersim.Topic(topic, n, 1),
		brokersim.BrokerConfig("group.initial.rebalance.delay.ms=3000"))
	members := newMembers(b, c, n)
	joinAll(b, members)
	requireOneEach(b, members)

	leader := slices.IndexFunc(members, func(m *member) bool { return m.leads })
	require.GreaterOrEqual(b, leader, 0)
	members[0], members[leader] = members[leader], members[0] // its join is what ends a generation
	const settle = 300 * time.Millisecond
	var fromLast, whole []time.Duration
	for b.Loop() {
		before := members[0].generation
		began := time.Now()
		var last time.Time
		each(b, members, func(ctx context.Context, i int, m *member) error {
			switch i {
			case 0:
			case n - 1:
				pass(settle)
				last = time.Now()
			default:
				pass(10 * time.Millisecond) // the leader's join is there
			}
			return m.join(ctx)
		})
		fromLast = append(fromLast, time.Since(last))
		whole = append(whole, time.Since(began))
		requireOneEach(b, members)
		require.Equal(b, before+1, members[0].generation)
	}
	slices.Sort(fromLast)
	slices.Sort(whole)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(quantile(fromLast, 0.5)), "last-join-to-assigned-p50-ms")
	b.ReportMetric(ms(fromLast[len(fromLast)-1]), "max-ms")
	b.ReportMetric(ms(quantile(whole, 0.5)-settle), "whole-ms")
}
