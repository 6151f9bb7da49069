package brokersim_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// What a snapshot says of a partition that has been through something, field by field.
func TestSnapshotShowsEverything(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Racks("a", "b", "c"), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a", "b")
		c.Must(brokersim.Replicated("orders", 0, 2))
		first := c.Leader("orders", 0)
		require.NoError(t, first.Kill())
		c.Must(brokersim.NewLeader("orders", 0, first.ID()))
		produce(t, p, "c")
		second := c.Followers("orders", 0)
		other := second[0]
		if other.ID() == first.ID() {
			other = second[1]
		}
		c.Must(brokersim.Committed("orders", 0, 3))
		require.NoError(t, other.Kill())
		leader := c.Leader("orders", 0)
		c.Must(brokersim.ISR("orders", 0, leader.ID()))
		one := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		produce(t, one, "only here")
		f := leader.Disk().Slow(time.Millisecond, 0)
		time.Sleep(time.Second)

		s := c.Snapshot()
		require.Equal(t, time.Now(), s.Time)
		require.Equal(t, []brokersim.FaultState{{ID: s.Faults[0].ID, What: f.String(), From: s.Time.Add(-time.Second)}}, s.Faults)
		require.Positive(t, s.Seq)
		part := s.Partitions[0]
		require.Equal(t, leader.ID(), part.Leader)
		require.Equal(t, int32(1), part.LeaderEpoch)
		require.GreaterOrEqual(t, part.PartitionEpoch, int32(2))
		require.Len(t, part.Assigned, 3)
		require.Equal(t, []int32{leader.ID()}, part.ISR)
		require.Equal(t, []int32{other.ID()}, part.ELR)
		require.Equal(t, int32(-1), part.LastKnownLeader)
		require.Equal(t, 2, part.MinISR)
		require.Equal(t, int64(3), part.HighWatermark, "below min ISR it stands still")
		require.Equal(t, []int32{leader.ID()}, part.MaximalISR)
		require.Len(t, part.Replicas, 1, "two brokers are down")
		r := part.Replicas[0]
		require.Equal(t, brokersim.ReplicaState{
			Broker: leader.ID(), LogStart: 0, LEO: 4, HW: 3, Leads: true, LeaderEpoch: 1, InSync: true,
			EpochStarts: []brokersim.EpochStart{{Epoch: 0, Offset: 0}, {Epoch: 1, Offset: 2}},
			KnownLEO:    r.KnownLEO, LastCaughtUp: r.LastCaughtUp,
		}, r)
		for _, b := range s.Brokers {
			require.Equal(t, string('a'+b.ID-1), b.Rack)
			want := brokersim.BrokerState{ID: b.ID, Rack: b.Rack, Process: brokersim.Killed, Registration: brokersim.Fenced, Epoch: b.Epoch, Offset: -1}
			if b.ID == leader.ID() {
				want.Process, want.Registration, want.Offset = brokersim.Running, brokersim.Unfenced, s.Offset
			}
			require.Equal(t, want, b)
		}
		require.Equal(t, c.Coordinator().Active().Name(), s.Quorum.Active)
		require.Positive(t, s.Quorum.Epoch)

		var dump bytes.Buffer
		c.Dump(&dump)
		for _, want := range []string{leader.Name(), "killed", "fenced", "ELR [" + other.Name()[len("broker-"):] + "]", "0@0 1@2", "LEO 4", "HW 3", f.String()} {
			require.Contains(t, dump.String(), want)
		}
		require.NoError(t, other.Start())
		require.NoError(t, first.Start())
		c.Must(brokersim.FullISR())
		time.Sleep(time.Second)
		for _, r := range c.Partition("orders", 0).Replicas {
			require.Equal(t, int64(4), r.LEO)
			if !r.Leads {
				require.Equal(t, int64(4), r.KnownLEO)
				require.WithinDuration(t, time.Now(), r.LastCaughtUp, time.Second)
			}
		}
	})
}

// Whatever is emitted in a life with everything in it can be told, and every effect
// that has a cause names one that came before it.
func TestEverythingIsNarrated(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		for _, hurt := range []struct{ lose, back func(*brokersim.Broker) }{
			{func(b *brokersim.Broker) { b.Kill() }, func(b *brokersim.Broker) { b.Start() }},
			{func(b *brokersim.Broker) { b.PowerOff() }, func(b *brokersim.Broker) { b.Start() }},
			{(*brokersim.Broker).Pause, (*brokersim.Broker).Resume},
			{func(b *brokersim.Broker) { b.Isolate() }, func(*brokersim.Broker) { c.Heal() }},
		} {
			old := c.Leader("orders", 0)
			hurt.lose(old)
			c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			hurt.back(old)
			c.Must(brokersim.FullISR())
		}
		l.stop()
		l.kept(t)
		effects := map[event.Kind]int{}
		last := c.Snapshot().Seq
		for e := range c.Events(t.Context(), 0) {
			require.Less(t, e.Cause, e.Seq)
			words := event.Narrate(e)
			require.NotEmpty(t, words, "%+v", e)
			require.NotContains(t, words, "%!", "%+v", e)
			require.NotContains(t, words, "<nil>", "%+v", e)
			if e.Cause != 0 {
				effects[e.Kind]++
			}
			if e.Seq >= last {
				break
			}
		}
		for _, kind := range []event.Kind{event.BrokerGone, event.SessionExpired, event.BrokerFenced, event.LeaderElected, event.ISRShrunk, event.EpochStarted} {
			require.NotZero(t, effects[kind], "no %s names its cause", kind)
		}
	})
}

// A message between nodes can be named: without AlterPartition no ISR changes.
func TestInterceptBetweenNodes(t *testing.T) {
	for name, act := range map[string]brokersim.Action{
		"request dropped": brokersim.DropRequest, "refused": brokersim.Answer(kerr.NotController),
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
				brokers := []brokersim.End{brokersim.B(1), brokersim.B(2), brokersim.B(3)}
				nodes := []brokersim.End{brokersim.Q(1), brokersim.Q(2), brokersim.Q(3)}
				f := c.Net().Intercept(brokers, nodes, kmsg.AlterPartition.Int16(), act)
				away := c.Followers("orders", 0)[0]
				require.NoError(t, away.Kill())
				c.Must(brokersim.NotInISR("orders", 0, away.ID()) /* the coordinator needs nobody for that */)
				require.NoError(t, away.Start())
				c.Must(brokersim.Registered(away.ID(), brokersim.Unfenced))
				time.Sleep(10 * time.Second)
				require.NotContains(t, c.Partition("orders", 0).ISR, away.ID())
				require.Contains(t, c.Partition("orders", 0).MaximalISR, away.ID(), "it is proposed, and waited for")
				f.Heal()
				c.Must(brokersim.FullISR())
			})
		})
	}
}

// An answer that a client is given instead of the real one has no effect behind it.
func TestAnswerInsteadOfTheEffect(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		var all []brokersim.End
		for _, b := range c.Brokers() {
			all = append(all, brokersim.B(b.ID()))
		}
		clients := []brokersim.End{brokersim.Clients}
		f := c.Net().Intercept(clients, all, kmsg.CreateTopics.Int16(), brokersim.Answer(kerr.PolicyViolation))
		admin := kadm.NewClient(client(t, c))
		made, err := admin.CreateTopic(t.Context(), 1, 1, nil, "bills")
		if err == nil {
			err = made.Err
		}
		require.ErrorIs(t, err, kerr.PolicyViolation)
		require.Len(t, c.Snapshot().Partitions, 1)
		f.Heal()
		_, err = admin.CreateTopic(t.Context(), 1, 1, nil, "bills")
		require.NoError(t, err)
		for want, act := range map[string]brokersim.Action{
			"no action": nil, "Answer(nil): name an error": brokersim.Answer(nil), "Delay(-1s): time cannot be negative": brokersim.Delay(-time.Second),
		} {
			require.ErrorContains(t, c.Net().Intercept(clients, all, kmsg.CreateTopics.Int16(), act).Err(), want)
		}
	})
}

// A narrow link takes its time.
func TestBandwidth(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.NoCompression()))
		produce(t, p, "a")
		brokers := []brokersim.End{brokersim.B(1), brokersim.B(2), brokersim.B(3)}
		f := c.Net().Bandwidth(brokers, brokers, 100_000)
		require.NoError(t, f.Err())
		began := time.Now()
		produce(t, p, strings.Repeat("x", 100_000))
		require.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond)
		f.Heal()
		began = time.Now()
		produce(t, p, strings.Repeat("x", 100_000))
		require.Less(t, time.Since(began), 100*time.Millisecond)
		require.Error(t, c.Net().Bandwidth(brokers, brokers, 0).Err())
		require.Error(t, c.Net().Loss(brokers, brokers, 1.5).Err())
		require.Error(t, c.Net().Latency(brokers, brokers, -1, 0).Err())
	})
}

// With Kafka's own timings silence costs what it costs there.
func TestKafkaTimingsAreKafkas(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.KafkaTimings(), brokersim.Topic("orders", 1, 3))
		old := c.Leader("orders", 0)
		began := time.Now()
		require.NoError(t, old.PowerOff())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		require.Greater(t, time.Since(began), 6900*time.Millisecond)
		require.Less(t, time.Since(began), 9500*time.Millisecond)
	})
}

// A client that asks a deposed leader is told in the answer who leads now (KIP-951):
// it goes there at once, although it may ask for metadata only every minute.
func TestClientFollowsTheHint(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		first := c.Leader("orders", 0)
		require.NoError(t, first.Kill())
		c.Must(brokersim.NewLeader("orders", 0, first.ID()))
		require.NoError(t, first.Start())
		c.Must(brokersim.FullISR())
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial), kgo.DefaultProduceTopic("orders"),
			kgo.MetadataMinAge(time.Minute), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		require.NoError(t, err)
		t.Cleanup(cl.Close)
		produce(t, cl, "a")
		require.Len(t, cl.PollFetches(t.Context()).Records(), 1)
		time.Sleep(2 * time.Minute)
		produce(t, cl, "b") // what it knows is as new as can be
		require.Len(t, cl.PollFetches(t.Context()).Records(), 1)
		// A fetch that is under way is sent on so soon that the new leader may not have heard
		// of its role yet. As with Kafka, that costs the client a look at the metadata.
		cl.PauseFetchTopics("orders")
		time.Sleep(time.Minute)

		res, err := kadm.NewClient(client(t, c)).ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil)
		require.NoError(t, err)
		require.NoError(t, res["orders"][0].Err)
		c.Must(brokersim.LedBy("orders", 0, first.ID()))
		time.Sleep(time.Second)
		cl.ResumeFetchTopics("orders")
		began := time.Now()
		produce(t, cl, "c")
		require.Less(t, time.Since(began), time.Second, "it did not wait for metadata")
		require.Len(t, cl.PollFetches(t.Context()).Records(), 1)
		require.Less(t, time.Since(began), 2*time.Second)
	})
}
