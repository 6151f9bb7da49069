package brokersim_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// toldMember works in a group, and tells its history, until stop is called: it reads, and commits
// what it has read.
func toldMember(t *testing.T, c *brokertest.C, name string, opts ...kgo.Opt) (stop func()) {
	t.Helper()
	m := c.History("billing").Join(name)
	gone := func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.Revoked(p) }
	cl := member(t, c, name, append([]kgo.Opt{
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(time.Second), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, p map[string][]int32) {
			id, generation := cl.GroupMetadata()
			m.Assigned(id, generation, p)
		}),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
	}, opts...)...)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			records := cl.PollFetches(ctx).Records()
			for _, r := range records {
				m.Delivered(r.Topic, r.Partition, r.Offset)
			}
			began := m.Committing()
			if cl.CommitRecords(ctx, records...) == nil {
				for _, r := range records {
					m.Committed(began, r.Topic, r.Partition, r.Offset+1)
				}
			}
			cl.AllowRebalance()
		}
	})
	return func() {
		cancel()
		working.Wait()
		cl.CloseAllowingRebalance()
		m.Left()
	}
}

// Members come, leave and fall silent, brokers and coordinators die: the group's history, as
// its members tell it, has no fault, and every record is delivered.
func TestHistoryOfAGroupThroughDeaths(t *testing.T) {
	needVirtualClients(t)
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()} {
		t.Run(balancer.ProtocolName(), func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) { groupThroughDeaths(t, balancer) })
		})
	}
}

func groupThroughDeaths(t *testing.T, balancer kgo.GroupBalancer) {
	c := brokertest.Start(t, brokersim.Topic("orders", 6, 3, "min.insync.replicas=2"))
	p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	every := time.NewTicker(100 * time.Millisecond)
	placed := make(chan struct{})
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	go func() {
		defer close(placed)
		for ctx.Err() == nil {
			p.Produce(t.Context(), kgo.StringRecord("x"), nil)
			<-every.C
		}
	}()
	stops := map[string]func(){}
	for _, name := range []string{"ann", "bob", "cat"} {
		stops[name] = toldMember(t, c, name, kgo.Balancers(balancer))
	}
	c.Must(brokersim.GroupStable("billing", 3))
	for range 2 {
		g, _ := c.Snapshot().Group("billing")
		require.NoError(t, c.Broker(g.Broker).Kill())
		time.Sleep(5 * time.Second)
		c.CheckInvariants()
		require.NoError(t, c.Broker(g.Broker).Start())
		c.Must(brokersim.FullISR())

		stops["bob"]()
		c.Must(brokersim.GroupStable("billing", 2))
		active := c.Coordinator().Active()
		require.NoError(t, active.Kill())
		stops["bob"] = toldMember(t, c, "bob", kgo.Balancers(balancer))
		c.Must(brokersim.GroupStable("billing", 3))
		require.NoError(t, active.Start())
		time.Sleep(5 * time.Second)
		c.CheckInvariants()
	}
	enough()
	<-placed
	require.NoError(t, p.Flush(t.Context()))
	for p := range int32(6) {
		end := c.Partition("orders", p).HighWatermark
		require.Positive(t, end)
		c.Must(brokersim.CommittedOffset("billing", "orders", p, end))
	}
	for _, stop := range stops {
		stop()
	}
	c.Must(brokersim.GroupEmpty("billing"))
}
