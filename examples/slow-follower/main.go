// Slow-follower gives one follower a slow disk and watches the partition deal
// with it: the high watermark waits for the laggard, then the ISR shrinks and
// the high watermark moves on, and when the disk recovers the ISR grows again.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

func main() { story.Main("slow-follower", run) }

func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (story.Verdict, error) {
	c, err := brokersim.New(ctx, append(opts, brokersim.Topic(story.Topic, 1, 3, "min.insync.replicas=2"))...)
	if err != nil {
		return story.Verdict{}, err
	}
	defer c.Close()
	stage := story.NewStage(out)
	defer stage.Close()
	stage.Follow(c, event.ISRShrunk, event.ISRGrown, event.FaultInjected, event.FaultHealed)
	ledger := story.NewLedger()
	shop, err := story.NewShop(c, ledger)
	if err != nil {
		return story.Verdict{}, err
	}
	defer shop.Close()

	stage.Heading("50 orders, acks=all: every replica keeps up")
	if err := place(ctx, shop, 50); err != nil {
		return story.Verdict{}, err
	}
	stage.Print(replicas(c))

	slow := c.Followers(story.Topic, 0)[0]
	stage.Heading("each write of broker %d now takes three seconds", slow.ID())
	stage.Zero()
	disk := slow.Disk().Slow(3*time.Second, 0)
	asked := time.Now()
	if err := shop.Place(ctx, 5, time.Millisecond); err != nil {
		return story.Verdict{}, err
	}
	// The leader and the quick follower have the orders; the watermark waits all the same.
	leader := c.Leader(story.Topic, 0)
	if err := c.Wait(ctx, leaderEnd(leader.ID(), 55)); err != nil {
		return story.Verdict{}, err
	}
	stage.Print(replicas(c))
	if err := c.Wait(ctx, brokersim.NotInISR(story.Topic, 0, slow.ID())); err != nil {
		return story.Verdict{}, err
	}
	shop.Settle()
	stage.Say("the 5 orders are acknowledged, %v after they were placed: the ISR had to shrink first", time.Since(asked).Round(100*time.Millisecond))
	stage.Print(replicas(c))

	stage.Heading("the disk is quick again")
	disk.Heal()
	if err := c.Wait(ctx, brokersim.FullISR()); err != nil {
		return story.Verdict{}, err
	}
	if err := place(ctx, shop, 45); err != nil {
		return story.Verdict{}, err
	}
	stage.Print(replicas(c))
	if err := story.ReadAll(ctx, c, ledger); err != nil {
		return story.Verdict{}, err
	}
	return ledger.Verdict(), nil
}

func place(ctx context.Context, shop *story.Shop, n int) error {
	if err := shop.Place(ctx, n, 2*time.Millisecond); err != nil {
		return err
	}
	shop.Settle()
	return nil
}

// leaderEnd waits until the leader's log has reached offset.
func leaderEnd(leader int32, offset int64) brokersim.Cond {
	return func(s brokersim.Snapshot) (bool, string) {
		p, _ := s.Partition(story.Topic, 0)
		r, _ := p.Replica(leader)
		return r.LEO >= offset, fmt.Sprintf("the leader's log ends at %d, before %d", r.LEO, offset)
	}
}

// replicas draws where each replica of the partition stands.
func replicas(c *brokersim.Cluster) string {
	p := c.Partition(story.Topic, 0)
	text := fmt.Sprintf("  high watermark %d, ISR %v", p.HighWatermark, p.ISR)
	for _, r := range p.Replicas {
		role := "follower"
		if r.Broker == p.Leader {
			role = "leader"
		}
		text += fmt.Sprintf("\n    broker %d  %-8s  log ends at %d", r.Broker, role, r.LEO)
	}
	return text
}
