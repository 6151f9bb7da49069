package brokersim_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// Any Kafka client works; these settings have franz-go find a new leader at once
// instead of after its default of some seconds.
func quick(c *brokersim.Cluster, opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(opts,
		kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial),
		kgo.MetadataMinAge(20*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func ExampleNew() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	client := quick(c, kgo.DefaultProduceTopic("orders"))
	defer client.Close()
	r, err := client.ProduceSync(ctx, kgo.StringRecord("one pizza")).First()
	fmt.Println(r.Topic, r.Partition, r.Offset, err)
	// Output: orders 0 0 <nil>
}

func ExampleBroker_Kill() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	old := c.Leader("orders", 0)
	old.Kill()
	if err := c.Wait(ctx, brokersim.NewLeader("orders", 0, old.ID())); err != nil {
		log.Fatal(err)
	}
	p := c.Partition("orders", 0)
	fmt.Println("epoch", p.LeaderEpoch, "in sync", len(p.ISR), "the old leader is", old.Process())
	// Output: epoch 1 in sync 2 the old leader is killed
}

func ExampleBroker_Start() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	b := c.Broker(2)
	b.Kill()
	fmt.Println(b.Process(), b.Kill())
	b.Start() // the same id, address and disk
	if err := c.Wait(ctx, brokersim.FullISR()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.Process())
	// Output:
	// killed broker 2 is not running: it is killed
	// running
}

func ExampleBroker_Isolate() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	zombie := c.Leader("orders", 0)
	cut := zombie.Isolate() // its clients stay connected
	if err := c.Wait(ctx, brokersim.NewLeader("orders", 0, zombie.ID())); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the others have elected; faults in force:", len(c.Snapshot().Faults))
	cut.Heal()
	if err := c.Wait(ctx, brokersim.FullISR()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("it follows now; faults in force:", len(c.Snapshot().Faults))
	// Output:
	// the others have elected; faults in force: 1
	// it follows now; faults in force: 0
}

func ExampleCluster_Wait() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	hasty, cancel := context.WithCancel(ctx)
	cancel()
	err = c.Wait(hasty, brokersim.NotInISR("orders", 0, 3))
	fmt.Println(err)
	// Output: waited 0s for broker 3 to leave the ISR of orders-0: it is [1 2 3]: context canceled
}

func ExampleCluster_Events() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	since := c.Snapshot().Seq
	c.Leader("orders", 0).Kill()
	for e := range c.Events(ctx, since) {
		switch e.Kind {
		case event.BrokerGone, event.BrokerFenced, event.LeaderElected:
			fmt.Println(e.Kind)
		}
		if e.Kind == event.LeaderElected {
			break
		}
	}
	// Output:
	// broker.gone
	// broker.fenced
	// leader.elected
}

func ExampleCluster_Dump() {
	c, err := brokersim.New(context.Background(), brokersim.Topic("orders", 1, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.Dump(os.Stderr)
	// Output:
}

// Two consumers share a topic. One leaves, and the other one owns everything.
func ExampleGroupStable() {
	ctx := context.Background()
	c, err := brokersim.New(ctx, brokersim.Topic("orders", 2, 3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ann := quick(c, kgo.ClientID("ann"), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.HeartbeatInterval(50*time.Millisecond))
	defer ann.Close()
	bob := quick(c, kgo.ClientID("bob"), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.HeartbeatInterval(50*time.Millisecond))
	if err := c.Wait(ctx, brokersim.GroupStable("billing", 2)); err != nil {
		log.Fatal(err)
	}
	bob.Close()
	if err := c.Wait(ctx, brokersim.GroupStable("billing", 1)); err != nil {
		log.Fatal(err)
	}
	g, _ := c.Snapshot().Group("billing")
	for _, m := range g.Members {
		fmt.Println(m.ClientID, "owns", m.Owns)
	}
	// Output: ann owns map[orders:[0 1]]
}
