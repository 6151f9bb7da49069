package brokertest_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// An hour of Kafka's life, with Kafka's own timings, in a moment of ours.
func ExampleVirtual() {
	_ = func(t *testing.T) { // func TestNothingHappensInAnHour(t *testing.T)
		brokertest.Virtual(t, func(t *testing.T) {
			c := brokertest.Start(t, brokersim.KafkaTimings(), brokersim.Topic("orders", 1, 3))
			time.Sleep(time.Hour)
			c.Must(brokersim.FullISR())
		})
	}
}

// A cluster for one test: it is checked and taken away when the test ends.
func ExampleStart() {
	_ = func(t *testing.T) { // func TestFailover(t *testing.T)
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		old := c.Leader("orders", 0)
		old.Kill()
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		c.CheckInvariants()
	}
}

// The clients of a group tell what they are told. When the test ends, no partition may have had two
// owners, no commit been forgotten and no record passed over.
func ExampleC_History() {
	_ = func(t *testing.T) { // func TestBilling(t *testing.T)
		c := brokertest.Start(t, brokersim.Topic("orders", 6, 3))
		m := c.History("billing").Join("ann")
		gone := func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.Revoked(p) }
		cl, err := kgo.NewClient(
			kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"),
			kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, p map[string][]int32) {
				id, generation := cl.GroupMetadata()
				m.Assigned(id, generation, p)
			}),
			kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone), kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit())
		if err != nil {
			t.Fatal(err)
		}
		defer m.Left()
		defer cl.CloseAllowingRebalance()
		records := cl.PollFetches(t.Context()).Records()
		for _, r := range records {
			m.Delivered(r.Topic, r.Partition, r.Offset)
		}
		began := m.Committing()
		if cl.CommitRecords(t.Context(), records...) == nil {
			for _, r := range records {
				m.Committed(began, r.Topic, r.Partition, r.Offset+1)
			}
		}
		cl.AllowRebalance()
	}
}
