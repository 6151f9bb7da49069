package orders

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestOrdersOutliveTheirLeader(t *testing.T) {
	c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
	shop := client(t, c)

	old := c.Leader("orders", 0)
	old.Kill()
	if err := shop.ProduceSync(t.Context(), kgo.StringRecord("one pizza")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c.Must(brokersim.NewLeader("orders", 0, old.ID()))
	old.Start()
	c.Must(brokersim.FullISR())
}

// client returns an ordinary franz-go client that does not sleep through a failover.
func client(t *testing.T, c *brokertest.C) *kgo.Client {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(c.Addrs()...),
		kgo.Dialer(c.Dial), // needed in virtual time only, where there are no sockets
		kgo.DefaultProduceTopic("orders"),
		kgo.MetadataMinAge(20*time.Millisecond), // its default, 5 s, would be what you measure
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.ProduceRequestTimeout(time.Second),  // these two: after a power loss nobody
		kgo.RequestTimeoutOverhead(time.Second), // hangs up, and only a timeout ends the wait
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func TestOrdersOutliveAPowerLoss(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.KafkaTimings(), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		shop := client(t, c)

		began := time.Now()
		c.Leader("orders", 0).PowerOff()
		if err := shop.ProduceSync(t.Context(), kgo.StringRecord("one pizza")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 7*time.Second { // a session of 9 s, less the age of the last heartbeat
			t.Fatalf("acknowledged after %v: who took over so soon?", took)
		}
		time.Sleep(time.Hour) // free
	})
}
