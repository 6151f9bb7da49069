// Orders is a shop's kitchen under a bad star: orders are placed, a group of consumers
// cooks them, and one after the other a consumer, a broker and the active coordinator die.
//
// Three brokers keep the topic orders in three partitions with two replicas each; an
// order's id decides its partition. Each consumer commits what it has cooked, so no
// order is forgotten whatever happens, and a few are cooked twice. The exit status is 1 if an
// order was acknowledged and never cooked.
package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

const pause = 2 * time.Millisecond // between two orders

func main() { story.Main("orders", run) }

func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (story.WorkVerdict, error) {
	stage := story.NewStage(out)
	defer stage.Close()
	c, err := brokersim.New(ctx, append(opts,
		brokersim.Topic(story.Topic, 3, 2),
		brokersim.BrokerConfig(fmt.Sprintf("group.min.session.timeout.ms=%d", session.Milliseconds())),
	)...)
	if err != nil {
		return story.WorkVerdict{}, err
	}
	defer c.Close()
	ledger := story.NewLedger()
	shop, err := story.NewShop(c, ledger)
	if err != nil {
		return story.WorkVerdict{}, err
	}
	defer shop.Close()
	stage.Follow(c, event.GroupMemberJoined, event.GroupMemberLeft, event.GroupMemberExpired, event.GroupRebalancing,
		event.GroupGeneration, event.GroupStable, event.OffsetsLoaded, event.BrokerKilled, event.BrokerFenced,
		event.LeaderElected, event.CoordinatorKilled, event.CoordinatorActive)

	k := &kitchen{ctx: ctx, stage: stage, cluster: c, ledger: ledger, shop: shop}
	defer k.close()
	if err := k.day(); err != nil {
		return story.WorkVerdict{}, err
	}
	verdict := ledger.WorkVerdict()
	for _, id := range verdict.Lost {
		stage.Print("lost: " + id)
	}
	return verdict, nil
}

// A kitchen is the story: its acts in order.
type kitchen struct {
	ctx     context.Context
	stage   *story.Stage
	cluster *brokersim.Cluster
	ledger  *story.Ledger
	shop    *story.Shop
	workers []*worker
	crashed []*worker
}

func (k *kitchen) day() error {
	for _, act := range []func() error{k.open, k.workerDies, k.brokerDies, k.coordinatorDies, k.finish} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

func (k *kitchen) open() error {
	k.stage.Heading("ann, bob and cay join the group; orders flow, one every %v", pause)
	for _, name := range []string{"ann", "bob", "cay"} {
		w, err := newWorker(k.cluster, k.ledger, name)
		if err != nil {
			return err
		}
		k.workers = append(k.workers, w)
	}
	return k.orders(300)
}

func (k *kitchen) workerDies() error {
	bob := k.workers[1]
	k.workers, k.crashed = slices.Delete(k.workers, 1, 2), append(k.crashed, bob)
	k.stage.Heading("bob crashes, after cooking and before committing")
	if err := k.shop.Place(k.ctx, 100, pause); err != nil { // so that he has his hands full
		return err
	}
	k.stage.Zero()
	flow := make(chan error, 1)
	go func() { flow <- k.orders(600) }()
	k.stage.Say("bob is gone; orders cooked and not committed: %d. Nobody knows yet", bob.Crash())
	return <-flow
}

// brokerDies kills the group's broker, which leads a partition of the orders, too.
func (k *kitchen) brokerDies() error {
	g, _ := k.cluster.Snapshot().Group(group)
	k.stage.Heading("broker %d is killed, which is the group's broker and leads orders", g.Broker)
	k.stage.Zero()
	if err := k.cluster.Broker(g.Broker).Kill(); err != nil {
		return err
	}
	return k.orders(300)
}

func (k *kitchen) coordinatorDies() error {
	active := k.cluster.Coordinator().Active()
	k.stage.Heading("%s is killed, which decides who owns what", active.Name())
	k.stage.Zero()
	if err := active.Kill(); err != nil {
		return err
	}
	return k.orders(300)
}

// finish waits until the group has committed everything up to the end of each partition:
// what was not cooked by then never will be.
func (k *kitchen) finish() error {
	k.stage.Heading("the last orders are cooked, and everybody goes home")
	var all []brokersim.Cond
	for _, p := range k.cluster.Snapshot().Partitions {
		if p.Topic == story.Topic {
			all = append(all, brokersim.CommittedOffset(group, p.Topic, p.Partition, p.HighWatermark))
		}
	}
	return k.cluster.Wait(k.ctx, brokersim.All(all...))
}

// orders places n orders, one every pause, and once they are acknowledged tells who owns what.
func (k *kitchen) orders(n int) error {
	if err := k.shop.Place(k.ctx, n, pause); err != nil {
		return err
	}
	k.shop.Settle()
	if err := k.cluster.Wait(k.ctx, brokersim.GroupStable(group, len(k.workers))); err != nil {
		return err
	}
	g, _ := k.cluster.Snapshot().Group(group)
	v := k.ledger.WorkVerdict()
	k.stage.Say("generation %d: %s; %d orders placed, %d cooked, %d of them twice",
		g.Generation, story.Owners(g), v.Orders, v.Processed, v.Twice)
	return nil
}

func (k *kitchen) close() {
	for _, w := range slices.Concat(k.workers, k.crashed) {
		w.Close()
	}
}
