package brokersim_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// member starts a member of group billing that reads orders, and commits only when told to.
func member(t testing.TB, c *brokertest.C, id string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return client(t, c, append([]kgo.Opt{
		kgo.ClientID(id), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.Balancers(kgo.RangeBalancer()),
	}, opts...)...)
}

// poll reads n records.
func poll(t testing.TB, cl *kgo.Client, n int) {
	t.Helper()
	for n > 0 {
		fetches := cl.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		n -= fetches.NumRecords()
	}
}

// What a snapshot says of a group, field by field, and what a dump does.
func TestSnapshotShowsGroups(t *testing.T) {
	needVirtualClients(t)
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 3, 3))
		require.Empty(t, c.Snapshot().Groups)
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		produce(t, p, "a", "b", "c", "d", "e", "f")
		a := member(t, c, "a")
		c.Must(brokersim.GroupStable("billing", 1))
		poll(t, a, 6)
		require.NoError(t, a.CommitUncommittedOffsets(t.Context()))
		b := member(t, c, "b", kgo.InstanceID("second"))
		c.Must(brokersim.GroupStable("billing", 2))
		c.Must(brokersim.CommittedOffset("billing", "orders", 0, 2))
		c.Must(brokersim.OwnedBy("billing", "orders", 2, "a")) // kgo gives those with an instance theirs first

		g, ok := c.Snapshot().Group("billing")
		require.True(t, ok)
		find, err := kmsg.NewPtrFindCoordinatorRequest(), error(nil)
		find.CoordinatorKey = "billing"
		find.CoordinatorKeys = []string{"billing"}
		found, err := find.RequestWith(t.Context(), p)
		require.NoError(t, err)
		named := found.NodeID
		if len(found.Coordinators) == 1 {
			named = found.Coordinators[0].NodeID
		}
		require.Len(t, g.Members, 2)
		first, second := g.Members[0], g.Members[1]
		require.Equal(t, brokersim.GroupState{
			ID: "billing", Kind: "classic", State: "Stable", Generation: g.Generation, ProtocolType: "consumer", Protocol: "range",
			Leader: first.ID, Broker: named,
			Members: []brokersim.GroupMember{
				{ID: first.ID, ClientID: "a", Host: first.Host, Subscribed: []string{"orders"}, Owns: map[string][]int32{"orders": {2}}},
				{ID: second.ID, Instance: "second", ClientID: "b", Host: second.Host, Subscribed: []string{"orders"}, Owns: map[string][]int32{"orders": {0, 1}}},
			},
			Offsets: map[brokersim.TopicPartition]int64{{Topic: "orders"}: 2, {Topic: "orders", Partition: 1}: 2, {Topic: "orders", Partition: 2}: 2},
		}, g)
		require.GreaterOrEqual(t, g.Generation, int32(2))
		c.Must(brokersim.GroupGeneration("billing", g.Generation))

		produce(t, p, "g")
		var dump bytes.Buffer
		c.Dump(&dump)
		for _, want := range []string{"group billing", "Stable", "leads the group", "instance second", "owns orders[0 1]", "lag 1", "__consumer_offsets: 50 of 50 partitions"} {
			require.Contains(t, dump.String(), want)
		}
		a.Close()
		b.Close()
		time.Sleep(2 * time.Minute) // static members do not leave: their sessions end
		c.Must(brokersim.GroupEmpty("billing"))
		_, err = kadm.NewClient(p).DeleteGroups(t.Context(), "billing")
		require.NoError(t, err)
		c.Must(brokersim.GroupGone("billing"))
	})
}

// Who commits without joining makes a group too, and it is seen only while somebody
// serves it: no broker is believed that the coordinator has replaced.
func TestSnapshotShowsSimpleConsumers(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		cl := client(t, c)
		admin := kadm.NewClient(cl)
		require.NoError(t, admin.CommitAllOffsets(t.Context(), "simple", kadm.OffsetsFromRecords(kgo.Record{Topic: "orders", Offset: -1})))
		c.Must(brokersim.CommittedOffset("simple", "orders", 0, 0))
		g, _ := c.Snapshot().Group("simple")
		require.Equal(t, brokersim.GroupState{
			ID: "simple", Kind: "classic", State: "Empty", Broker: g.Broker, Offsets: map[brokersim.TopicPartition]int64{{Topic: "orders"}: 0},
		}, g)
		c.Must(brokersim.GroupEmpty("simple"))

		first := c.Broker(g.Broker)
		defer first.Isolate().Heal() // it goes on to believe that the group is its own
		c.Must(func(s brokersim.Snapshot) (bool, string) {
			g, ok := s.Group("simple")
			return ok && g.Broker != first.ID(), "another broker of group simple"
		})
		c.Must(brokersim.CommittedOffset("simple", "orders", 0, 0))
		g, _ = c.Snapshot().Group("simple")
		require.NotEqual(t, first.ID(), g.Broker)
	})
}
