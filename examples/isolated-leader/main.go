// Isolated-leader cuts a leader off from the cluster but not from a client, and
// shows what that client loses: what was never acknowledged, and only that.
//
// The old leader does not know that it was replaced. It goes on taking orders,
// but cannot acknowledge them: acks=all needs the other replicas, and a smaller
// ISR needs the coordinator's word. When the cut heals, it learns of the newer
// leader epoch and cuts its log back to where the two histories part.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

const pause = 2 * time.Millisecond

func main() { story.Main("isolated-leader", run) }

func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (story.Verdict, error) {
	c, err := brokersim.New(ctx, append(opts, brokersim.Topic(story.Topic, 1, 3, "min.insync.replicas=2"))...)
	if err != nil {
		return story.Verdict{}, err
	}
	defer c.Close()
	stage := story.NewStage(out)
	defer stage.Close()
	stage.Follow(c, event.SessionExpired, event.BrokerFenced, event.LeaderElected, event.LogTruncated,
		event.BrokerUnfenced, event.ISRGrown, event.FaultInjected, event.FaultHealed)
	ledger := story.NewLedger()

	old := c.Leader(story.Topic, 0)
	loyal, err := loyalShop(c, old, ledger)
	if err != nil {
		return story.Verdict{}, err
	}
	defer loyal.Close()

	stage.Heading("100 orders, acks=all, before anything goes wrong")
	if err := place(ctx, loyal, 100); err != nil {
		return story.Verdict{}, err
	}

	stage.Heading("broker %d, the leader, is cut off from brokers and coordinator; one client stays with it", old.ID())
	stage.Zero()
	cut := old.Isolate()
	if err := place(ctx, loyal, 20); err != nil {
		return story.Verdict{}, err
	}
	_, refused := ledger.Counts()
	stage.Say("the cut-off leader took %d orders and could acknowledge none: its log ends at %d, its high watermark stands at %d",
		refused, ownEnd(c, old), c.Partition(story.Topic, 0).HighWatermark)

	stage.Heading("meanwhile another replica leads; 100 orders reach it")
	if err := c.Wait(ctx, brokersim.NewLeader(story.Topic, 0, old.ID())); err != nil {
		return story.Verdict{}, err
	}
	shop, err := story.NewShop(c, ledger)
	if err != nil {
		return story.Verdict{}, err
	}
	defer shop.Close()
	if err := place(ctx, shop, 100); err != nil {
		return story.Verdict{}, err
	}

	stage.Heading("the cut heals")
	cut.Heal()
	if err := c.Wait(ctx, brokersim.FullISR()); err != nil {
		return story.Verdict{}, err
	}

	stage.Heading("everything is read back")
	if err := story.ReadAll(ctx, c, ledger); err != nil {
		return story.Verdict{}, err
	}
	verdict := ledger.Verdict()
	stage.Print(fmt.Sprintf("of the %d orders that nobody acknowledged, %d are in the log", refused, verdict.Unacked))
	return verdict, nil
}

// place places n orders and waits until each is acknowledged or given up.
func place(ctx context.Context, shop *story.Shop, n int) error {
	err := shop.Place(ctx, n, pause)
	shop.Settle()
	return err
}

// loyalShop has a client that knows only the given broker, believes what it says,
// and gives each order one try of 300 ms.
func loyalShop(c *brokersim.Cluster, only *brokersim.Broker, ledger *story.Ledger) (*story.Shop, error) {
	return story.NewShop(c, ledger,
		kgo.SeedBrokers(only.Addr()),
		kgo.DisableIdempotentWrite(), // an idempotent client may not give up what it sent
		kgo.MaxProduceRequestsInflightPerBroker(20),
		kgo.RecordRetries(0),
		kgo.ProduceRequestTimeout(300*time.Millisecond),
	)
}

// ownEnd is where the broker's own log of the partition ends.
func ownEnd(c *brokersim.Cluster, b *brokersim.Broker) int64 {
	replica, _ := c.Partition(story.Topic, 0).Replica(b.ID())
	return replica.LEO
}
