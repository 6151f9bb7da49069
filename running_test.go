package brokersim_test

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// A cluster that is left alone decides nothing, for an hour.
func TestAnHourPasses(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "tick") // it needs a producer id
		before := c.Snapshot()
		for range 60 {
			time.Sleep(time.Minute)
			produce(t, p, "tick")
		}
		after := c.Snapshot()
		require.Equal(t, before.Offset, after.Offset, "nothing was decided")
		require.Equal(t, int64(61), after.Partitions[0].HighWatermark)
	})
}

func TestTraceHoldsEveryEvent(t *testing.T) {
	var trace bytes.Buffer
	c, err := brokersim.New(t.Context(), brokersim.TraceTo(&trace), brokersim.Topic("orders", 1, 3))
	require.NoError(t, err)
	require.NoError(t, c.Broker(1).Kill())
	last := c.Snapshot().Seq
	require.NoError(t, c.Close())
	seq, kinds := uint64(0), map[event.Kind]bool{}
	for line := range strings.Lines(trace.String()) {
		var e brokersim.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		seq++
		require.Equal(t, seq, e.Seq)
		kinds[e.Kind] = true
	}
	require.GreaterOrEqual(t, seq, last)
	for _, kind := range []event.Kind{event.CoordinatorActive, event.BrokerUnfenced, event.TopicCreated, event.BrokerKilled} {
		require.True(t, kinds[kind], kind)
	}
}

func TestHighWatermarksOnRequest(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		since := c.Snapshot().Seq
		produce(t, p, "unseen")
		stop := c.Watch(event.HWAdvanced)
		defer stop()
		produce(t, p, "seen")
		for e := range c.Events(t.Context(), since) {
			if e.Kind == event.HWAdvanced && e.Node == c.Leader("orders", 0).Name() {
				require.EqualValues(t, 2, e.Data["hw"], "the one before was not asked for")
				break
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	first := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())

	c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Ports(first), brokersim.Listen("127.0.0.1", "::1"),
		brokersim.Advertise("localhost"), brokersim.Topic("orders", 1, 1))
	_, port, err := net.SplitHostPort(c.Addrs()[0])
	require.NoError(t, err)
	require.Equal(t, []string{net.JoinHostPort("localhost", port)}, c.Addrs())
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	produce(t, p, "a")
	require.NoError(t, c.Broker(1).Kill())
	_, err = net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	require.Error(t, err, "the port refuses connections")
	require.NoError(t, c.Broker(1).Start())
	c.Must(brokersim.FullISR())
	produce(t, p, "b")
	if six, err := net.Dial("tcp", net.JoinHostPort("::1", port)); err == nil {
		require.NoError(t, six.Close())
	} else {
		t.Logf("no IPv6 here: %v", err)
	}
}

func TestEveryInterfaceIsAdvertisedAsLoopback(t *testing.T) {
	c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1), brokersim.Listen("0.0.0.0"))
	require.True(t, strings.HasPrefix(c.Addrs()[0], "127.0.0.1:"), c.Addrs()[0])
}

func TestSizesOfClusters(t *testing.T) {
	for _, size := range []struct{ brokers, coordinators int }{{1, 1}, {1, 3}, {5, 5}, {3, 1}} {
		brokertest.Virtual(t, func(t *testing.T) {
			c := brokertest.Start(t, brokersim.Brokers(size.brokers), brokersim.Coordinators(size.coordinators),
				brokersim.Topic("orders", 4, size.brokers))
			produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "a")
			require.Len(t, c.Snapshot().Quorum.Nodes, size.coordinators)
		})
	}
}

func TestRacksSpreadReplicas(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Brokers(4), brokersim.Racks("a", "a", "b", "b"), brokersim.Topic("orders", 8, 2))
		s := c.Snapshot()
		rack := map[int32]string{}
		for _, b := range s.Brokers {
			rack[b.ID] = b.Rack
		}
		for _, p := range s.Partitions {
			require.NotEqual(t, rack[p.Assigned[0]], rack[p.Assigned[1]], "%s-%d on %v", p.Topic, p.Partition, p.Assigned)
		}
	})
}

// The same seed gives the same ids and the same placement.
func TestSeedDecides(t *testing.T) {
	look := func(seed uint64) (placement [][]int32) {
		brokertest.Virtual(t, func(t *testing.T) {
			c := brokertest.Start(t, brokersim.Seed(seed), brokersim.Brokers(5), brokersim.Topic("orders", 6, 3))
			for _, p := range c.Snapshot().Partitions {
				placement = append(placement, p.Assigned)
			}
		})
		return placement
	}
	one := look(1)
	require.Equal(t, one, look(1))
	differs := false
	for seed := uint64(2); seed < 6 && !differs; seed++ {
		differs = !equal(one, look(seed))
	}
	require.True(t, differs)
}

func equal(a, b [][]int32) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestTimescaleSlowsTheSession(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Timescale(10), brokersim.Topic("orders", 1, 3))
		old := c.Leader("orders", 0)
		began := time.Now()
		require.NoError(t, old.PowerOff())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		require.Greater(t, time.Since(began), 7*time.Second)
		require.Less(t, time.Since(began), 15*time.Second)
	})
}

// Waiting is woken by what happens: it costs no polling interval.
func TestWaitIsWokenByEvents(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		time.Sleep(time.Second + time.Millisecond)
		time.AfterFunc(3*time.Millisecond, func() { p.Produce(t.Context(), kgo.StringRecord("x"), nil) })
		began := time.Now()
		c.Must(brokersim.Committed("orders", 0, 1))
		require.Less(t, time.Since(began), 14*time.Millisecond)
	})
}
