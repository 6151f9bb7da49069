// Failover kills the leader of a partition under load and shows that nothing
// acknowledged is lost.
//
// Three coordinator nodes and three brokers start; orders are produced with
// acks=all while a reader follows. The process of a leader is killed, another
// replica takes over, the dead broker returns and catches up, and everything is
// read back. The exit status is 1 if an acknowledged order was lost or any order
// is there twice.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

// pause is the time between two orders.
const pause = 2 * time.Millisecond

func main() { story.Main("failover", run) }

func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (story.Verdict, error) {
	stage := story.NewStage(out)
	defer stage.Close()

	stage.Heading("three coordinator nodes and three brokers start")
	c, err := brokersim.New(ctx, append(opts, brokersim.Topic(story.Topic, 3, 2, "min.insync.replicas=1"))...)
	if err != nil {
		return story.Verdict{}, err
	}
	defer c.Close()
	stage.Say("%s is active; brokers at %v", c.Snapshot().Quorum.Active, c.Addrs())
	if err := show(ctx, stage, c); err != nil {
		return story.Verdict{}, err
	}

	ledger := story.NewLedger()
	shop, err := story.NewShop(c, ledger)
	if err != nil {
		return story.Verdict{}, err
	}
	defer shop.Close()
	reader, err := story.NewReader(c, ledger)
	if err != nil {
		return story.Verdict{}, err
	}
	defer reader.Close()
	shop.OnRecovery = func(p int32) { stage.Say("client: first order acknowledged again in orders-%d", p) }

	tell := &telling{ctx: ctx, stage: stage, cluster: c, ledger: ledger, shop: shop}
	if err := tell.all(); err != nil {
		return story.Verdict{}, err
	}

	stage.Heading("everything is read back")
	if err := story.ReadAll(ctx, c, ledger); err != nil {
		return story.Verdict{}, err
	}
	verdict := ledger.Verdict()
	if verdict.Unacked > 0 {
		stage.Print(fmt.Sprintf("%d orders are in the log whose ack never arrived: neither lost nor duplicates", verdict.Unacked))
	}
	for _, id := range verdict.Lost {
		stage.Print("lost: " + id)
	}
	return verdict, nil
}

// A telling is the middle of the story: its five acts in order.
type telling struct {
	ctx     context.Context
	stage   *story.Stage
	cluster *brokersim.Cluster
	ledger  *story.Ledger
	shop    *story.Shop
}

func (t *telling) all() error {
	t.stage.Heading("orders flow, acks=all, one every %v", pause)
	if err := t.orders(300); err != nil {
		return err
	}
	if err := t.cluster.Wait(t.ctx, brokersim.FullISR()); err != nil {
		return err
	}
	acked, _ := t.ledger.Counts()
	t.stage.Say("%d orders acknowledged, every ISR is full", acked)

	victim := t.cluster.Leader(story.Topic, 0)
	if err := t.crash(victim); err != nil {
		return err
	}
	if err := t.comeback(victim); err != nil {
		return err
	}
	if err := t.preferred(); err != nil {
		return err
	}
	if err := t.orders(200); err != nil {
		return err
	}
	t.shop.Settle()
	return show(t.ctx, t.stage, t.cluster)
}

func (t *telling) orders(n int) error { return t.shop.Place(t.ctx, n, pause) }

// crash kills the victim while orders keep coming.
func (t *telling) crash(victim *brokersim.Broker) error {
	var led []int32
	for _, p := range t.cluster.Snapshot().Partitions {
		if p.Leader == victim.ID() {
			led = append(led, p.Partition)
		}
	}
	t.stage.Heading("broker %d, which leads partition %v, is killed under load", victim.ID(), led)
	t.stage.Follow(t.cluster, event.BrokerKilled, event.BrokerGone, event.SessionExpired, event.BrokerFenced,
		event.LeaderElected, event.LeaderLost, event.ISRShrunk, event.ISRGrown, event.BrokerStarted,
		event.LogRecovered, event.LogTruncated, event.BrokerRegistered, event.BrokerUnfenced)

	flow := make(chan error, 1)
	go func() { flow <- t.orders(250) }()
	t.stage.Zero()
	t.ledger.Crashed(led)
	if err := victim.Kill(); err != nil {
		return errors.Join(err, <-flow)
	}
	return <-flow
}

// comeback starts the dead broker again, with the disk that it left behind.
func (t *telling) comeback(broker *brokersim.Broker) error {
	t.stage.Heading("broker %d returns", broker.ID())
	if err := broker.Start(); err != nil {
		return err
	}
	if err := t.orders(250); err != nil {
		return err
	}
	return t.cluster.Wait(t.ctx, brokersim.FullISR())
}

// preferred asks for the first replica of each partition to lead it again.
func (t *telling) preferred() error {
	t.stage.Heading("preferred leaders are asked for, as by kafka-leader-election")
	client, err := story.NewClient(t.cluster)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).ElectLeaders(t.ctx, kadm.ElectPreferredReplica, nil); err != nil {
		return fmt.Errorf("electing preferred leaders: %w", err)
	}
	return nil
}

func show(ctx context.Context, stage *story.Stage, c *brokersim.Cluster) error {
	text, err := story.Describe(ctx, c)
	if err == nil {
		stage.Print(text)
	}
	return err
}
