package brokersim_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// client is a franz-go client that looks for new leaders at once: by default it
// waits 5 s between metadata refreshes and 250 ms between retries.
func client(t testing.TB, c *brokertest.C, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append(opts, kgo.MetadataMinAge(20*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func produce(t testing.TB, cl *kgo.Client, values ...string) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, cl.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(), v)
	}
}

// consume reads n values of a topic from its start.
func consume(t testing.TB, c *brokertest.C, topic string, n int) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := client(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for len(values) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err0(), "after %d of %d records", len(values), n)
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestStartNeedsNothing(t *testing.T) {
	c := brokertest.Start(t)
	s := c.Snapshot()
	require.Len(t, s.Brokers, 3)
	require.Len(t, s.Quorum.Nodes, 3)
	require.NotEmpty(t, s.Quorum.Active)
	require.Len(t, c.Addrs(), 3)
}

// The first of the four uses: a leader dies, another takes over, nothing is lost.
func TestFailover(t *testing.T) {
	c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
	p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.AllISRAcks()))
	produce(t, p, "before")

	old := c.Leader("orders", 0)
	require.NoError(t, old.Kill())
	c.Must(brokersim.NewLeader("orders", 0, old.ID()))

	produce(t, p, "after")
	require.NoError(t, old.Start())
	c.Must(brokersim.FullISR())
	c.Must(brokersim.Replicated("orders", 0, 2))
	c.CheckInvariants()
	require.Equal(t, []string{"before", "after"}, consume(t, c, "orders", 2))
}

// The second: a leader that is cut off is replaced, and then truncates to the new one.
func TestZombieLeader(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		produce(t, p, "shared")
		c.Must(brokersim.Replicated("orders", 0, 1))

		zombie := c.Leader("orders", 0)
		cut := zombie.Isolate()
		produce(t, p, "only the zombie has this") // it still believes to lead, and its client believes it
		c.Must(brokersim.NewLeader("orders", 0, zombie.ID()))
		c.CheckInvariants()
		cut.Heal()
		c.Must(brokersim.FullISR())

		after := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, after, "committed")
		c.Must(brokersim.Replicated("orders", 0, 2))
		r := c.Partition("orders", 0)
		require.GreaterOrEqual(t, r.LeaderEpoch, int32(1))
		for _, replica := range r.Replicas {
			require.Equal(t, int64(2), replica.LEO)
		}
		require.Equal(t, []string{"shared", "committed"}, consume(t, c, "orders", 2))
	})
}

// The third: Kafka's real lag limit of 30 s, in virtual time.
func TestSlowFollowerLeavesISR(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3), brokersim.BrokerConfig("replica.lag.time.max.ms=30000"))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		slow := c.Followers("orders", 0)[0]
		slow.Disk().Slow(45*time.Second, 0)
		p.Produce(t.Context(), kgo.StringRecord("x"), nil)
		time.Sleep(29 * time.Second)
		require.Len(t, c.Partition("orders", 0).ISR, 3, "it is given its time")
		c.Must(brokersim.NotInISR("orders", 0, slow.ID()))
		c.Must(brokersim.Committed("orders", 0, 1))
		time.Sleep(10 * time.Minute)
		c.Must(brokersim.FullISR())
	})
}

// The fourth: what a record costs.
func BenchmarkProduceAcksAll(b *testing.B) {
	c := brokertest.Start(b, brokersim.Topic("orders", 6, 3))
	p := client(b, c, kgo.DefaultProduceTopic("orders"))
	rec := make([]byte, 1024)
	b.SetBytes(1000 * int64(len(rec)))
	for b.Loop() { // one op = 1000 records, acked by every in-sync replica
		for range 1000 {
			p.Produce(context.Background(), &kgo.Record{Value: rec}, nil)
		}
		if err := p.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCreateTopicLater(t *testing.T) {
	c := brokertest.Start(t)
	c.CreateTopic("orders", 3, 2, "min.insync.replicas=2")
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	produce(t, p, "one")
	err := c.Cluster.CreateTopic("orders", 1, 1)
	require.ErrorContains(t, err, "TOPIC_ALREADY_EXISTS")
	require.ErrorContains(t, c.Cluster.CreateTopic("orders", 1, 4), "raise Brokers")
}

func TestTakenPortIsOneClearError(t *testing.T) {
	c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1))
	_, text, err := net.SplitHostPort(c.Addrs()[0])
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	again, err := brokersim.New(t.Context(), brokersim.Ports(port))
	require.Nil(t, again)
	require.ErrorContains(t, err, "is taken: end who uses it, or choose others with Ports")
}

func TestCloseTwiceAndAfterwards(t *testing.T) {
	c, err := brokersim.New(t.Context(), brokersim.Topic("orders", 1, 3))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return len(c.Goroutines()) == 0 }, 5*time.Second, time.Millisecond)
	require.ErrorIs(t, c.Wait(t.Context(), brokersim.NoLeader("orders", 9)), brokersim.ErrClosed)
	require.Error(t, c.Broker(1).Start())
	require.Error(t, c.CreateTopic("late", 1, 1))
	for range c.Events(t.Context(), c.Snapshot().Seq) {
		t.Fatal("a closed cluster tells nothing more")
	}
}
