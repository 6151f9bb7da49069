package brokersim_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// inGroups runs f in virtual time beside a cluster with a topic of 100 orders.
func inGroups(t *testing.T, f func(t *testing.T, c *brokertest.C, admin *kadm.Client), opts ...brokersim.Option) {
	needVirtualClients(t)
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, append([]brokersim.Option{brokersim.Topic("orders", 3, 3, "min.insync.replicas=2")}, opts...)...)
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		for i := range 100 {
			p.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), nil)
		}
		require.NoError(t, p.Flush(t.Context()))
		// An idle client looks for brokers that are gone when it asks for metadata.
		f(t, c, kadm.NewClient(client(t, c, kgo.MetadataMaxAge(time.Second))))
	})
}

// needVirtualClients skips a test whose members of groups live in virtual time.
func needVirtualClients(t testing.TB) {
	t.Helper()
	if !virtualClients {
		t.Skip("kgo's members hold a mutex across waits, which stops virtual time, unless they are built with -tags synctests")
	}
}

// worker is a member of the group "billing" that commits when it is told to.
func worker(t *testing.T, c *brokertest.C, opts ...kgo.Opt) *kgo.Client {
	return client(t, c, append([]kgo.Opt{
		kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(time.Second),
	}, opts...)...)
}

// work polls until it has n records, commits them, and returns how often each came.
func work(t *testing.T, w *kgo.Client, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string]int{}
	for got := 0; got < n; {
		fs := w.PollFetches(ctx)
		require.NoError(t, fs.Err())
		fs.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; got++ })
	}
	require.NoError(t, w.CommitUncommittedOffsets(ctx))
	return seen
}

// offsetsOf is what a group has committed in orders, summed up.
func offsetsOf(t *testing.T, admin *kadm.Client, group string) (sum int64) {
	t.Helper()
	all, err := admin.FetchOffsets(t.Context(), group)
	require.NoError(t, err)
	all.Each(func(o kadm.OffsetResponse) {
		require.NoError(t, o.Err)
		sum += o.At
	})
	return sum
}

func TestAGroupWorksThroughATopic(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		w := worker(t, c)
		require.Len(t, work(t, w, 100), 100)
		require.EqualValues(t, 100, offsetsOf(t, admin, "billing"))
		w.Close()

		again := worker(t, c)
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "late")
		require.Equal(t, map[string]int{"late": 1}, work(t, again, 1), "it goes on where the other one was")
	})
}

func TestTheOffsetsTopicIsTheClustersOwn(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		ctx := t.Context()
		_, there := c.Snapshot().Partition("__consumer_offsets", 0)
		require.False(t, there, "it is made when somebody needs it")
		require.NoError(t, admin.CommitAllOffsets(ctx, "billing", kadm.OffsetsFromFetches(nil)))
		work(t, worker(t, c), 1)

		details, err := admin.ListTopicsWithInternal(ctx)
		require.NoError(t, err)
		topic := details["__consumer_offsets"]
		require.True(t, topic.IsInternal)
		require.Len(t, topic.Partitions, 50)
		require.Len(t, topic.Partitions[0].Replicas, 3)
		configs, err := admin.DescribeTopicConfigs(ctx, "__consumer_offsets")
		require.NoError(t, err)
		set := map[string]string{}
		for _, c := range configs[0].Configs {
			set[c.Key] = *c.Value
		}
		require.Equal(t, "compact", set["cleanup.policy"])
		require.Equal(t, "2", set["min.insync.replicas"])

		deleted, err := admin.DeleteTopics(ctx, "__consumer_offsets")
		require.NoError(t, err)
		require.ErrorIs(t, deleted["__consumer_offsets"].Err, kerr.InvalidTopicException)
		intruder := client(t, c, kgo.DefaultProduceTopic("__consumer_offsets"))
		require.ErrorIs(t, intruder.ProduceSync(ctx, kgo.KeyStringRecord("k", "v")).FirstErr(), kerr.InvalidTopicException)
		_, err = admin.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": kadm.StringPtr("1")}, "__consumer_offsets")
		require.Error(t, err)
	})
}

// A member dies: its partitions move after its session. The group's broker and the active
// coordinator die: no member notices.
func TestDeathsInAndAroundAGroup(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		ws := []*kgo.Client{worker(t, c, kgo.InstanceID("a")), worker(t, c, kgo.InstanceID("b"))}
		for _, w := range ws {
			go func() { // joined by the client's Close, which ends its polls
				for t.Context().Err() == nil && !w.PollFetches(t.Context()).IsClientClosed() {
				}
			}()
		}
		stable := func(members int) (g kadm.DescribedGroup) {
			t.Helper()
			var err error
			for range 600 {
				var all kadm.DescribedGroups
				all, err = admin.DescribeGroups(t.Context(), "billing")
				if g = all["billing"]; err == nil && g.Err == nil && g.State == "Stable" && len(g.Members) == members {
					return g
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Fatalf("the group is %+v, %v", g, err)
			return g
		}
		stable(2)
		generations := func() (n int) {
			for e := range c.Events(canceled(), 0) {
				if e.Kind == event.GroupGeneration {
					n++
				}
			}
			return n
		}
		before := generations()

		require.NoError(t, c.Coordinator().Active().Kill())
		time.Sleep(20 * time.Second)
		stable(2)
		require.Equal(t, before, generations(), "a coordinator dies and no consumer notices")

		coordinator, err := admin.DescribeGroups(t.Context(), "billing")
		require.NoError(t, err)
		require.NoError(t, c.Broker(coordinator["billing"].Coordinator.NodeID).Kill())
		time.Sleep(20 * time.Second)
		stable(2)
		require.Equal(t, before, generations(), "nor when the group's broker does")

		ws[1].Close() // a static member does not leave
		time.Sleep(3 * time.Second)
		require.Len(t, stable(2).Members, 2)
		time.Sleep(5 * time.Second)
		left := stable(1)
		require.Equal(t, "a", *left.Members[0].InstanceID)
		require.Len(t, left.AssignedPartitions()["orders"], 3)
	})
}

// canceled is for reading what there is already.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestOffsetsGoWithTheirTopicAndWithTime(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		ctx := t.Context()
		w := worker(t, c)
		work(t, w, 100)
		w.Close()
		c.CreateTopic("other", 1, 3)
		simple := kadm.Offsets{}
		simple.Add(kadm.Offset{Topic: "other", Partition: 0, At: 7, LeaderEpoch: -1, Metadata: "by hand"})
		simple.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 3, LeaderEpoch: -1})
		require.NoError(t, admin.CommitAllOffsets(ctx, "by hand", simple))
		require.EqualValues(t, 10, offsetsOf(t, admin, "by hand"))

		_, err := admin.DeleteTopics(ctx, "other")
		require.NoError(t, err)
		c.Must(func(s brokersim.Snapshot) (bool, string) {
			behind := slices.IndexFunc(s.Brokers, func(b brokersim.BrokerState) bool { return b.Offset < s.Offset })
			return behind < 0, "every broker to know that the topic is gone"
		})
		require.EqualValues(t, 3, offsetsOf(t, admin, "by hand"), "at once")
		c.CreateTopic("other", 1, 3)
		require.EqualValues(t, 3, offsetsOf(t, admin, "by hand"), "and it does not come back with another topic of that name")

		time.Sleep(7 * time.Minute)
		groups, err := admin.ListGroups(ctx)
		require.NoError(t, err)
		require.Empty(t, groups.Groups(), "some time later nothing is left of either")
	}, brokersim.BrokerConfig("offsets.retention.minutes=5", "offsets.retention.check.interval.ms=10000"))
}

func TestDeletingGroupsAndOffsets(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		ctx := t.Context()
		w := worker(t, c)
		work(t, w, 100)
		gone, err := admin.DeleteGroups(ctx, "billing", "nobody")
		require.NoError(t, err)
		require.ErrorIs(t, gone["billing"].Err, kerr.NonEmptyGroup)
		require.ErrorIs(t, gone["nobody"].Err, kerr.GroupIDNotFound)
		one := kadm.TopicsSet{}
		one.Add("orders", 0)
		offsets, err := admin.DeleteOffsets(ctx, "billing", one)
		require.NoError(t, err)
		require.ErrorIs(t, offsets.Error(), kerr.GroupSubscribedToTopic)

		w.Close()
		sum := offsetsOf(t, admin, "billing")
		offsets, err = admin.DeleteOffsets(ctx, "billing", one)
		require.NoError(t, err)
		require.NoError(t, offsets.Error())
		require.Less(t, offsetsOf(t, admin, "billing"), sum)
		gone, err = admin.DeleteGroups(ctx, "billing")
		require.NoError(t, err)
		require.NoError(t, gone.Error())
		require.Zero(t, offsetsOf(t, admin, "billing"))
		groups, err := admin.ListGroups(ctx)
		require.NoError(t, err)
		require.Empty(t, groups.Groups())
	})
}

// Deciding waits for a coordinator, working does not: who has partitions goes on with them.
func TestAGroupGoesOnWithoutACoordinator(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "first") // producer ids come from a coordinator
		w := worker(t, c)
		work(t, w, 101)
		generation := func() int32 { _, n := w.GroupMetadata(); return n }
		before := generation()
		for _, n := range c.Coordinator().Nodes() {
			require.NoError(t, n.Kill())
		}
		for i := range 60 {
			time.Sleep(time.Second)
			began := time.Now()
			produce(t, p, fmt.Sprint("late ", i))
			require.Len(t, work(t, w, 1), 1)
			require.Less(t, time.Since(began), 500*time.Millisecond, "a commit does not wait behind a heartbeat")
		}
		for _, n := range c.Coordinator().Nodes() {
			require.NoError(t, n.Start())
		}
		time.Sleep(20 * time.Second)
		require.Equal(t, before, generation())
		require.EqualValues(t, 161, offsetsOf(t, admin, "billing"))
	})
}

// A broker that alone is left cannot know what is committed, for min.insync.replicas is two. It
// is the groups' broker all the same, and their members are not silent.
func TestMembersLiveWhileTheirBrokerLoads(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		w := worker(t, c)
		work(t, w, 100)
		_, before := w.GroupMetadata()
		described, err := admin.DescribeGroups(t.Context(), "billing")
		require.NoError(t, err)
		first := described["billing"].Coordinator.NodeID
		second := first%3 + 1
		require.NoError(t, c.Broker(first).Kill())
		require.NoError(t, c.Broker(second).Kill())
		time.Sleep(time.Minute)
		require.NoError(t, c.Broker(second).Start())
		require.NoError(t, c.Broker(first).Start())
		c.Must(brokersim.FullISR())
		produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "late")
		require.Len(t, work(t, w, 1), 1)
		_, after := w.GroupMetadata()
		require.Equal(t, before, after, "nobody was removed")
	})
}
