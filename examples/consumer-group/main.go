// Consumer-group shows who owns what in a group, at each step of its life, and why:
// members join one by one, a static one restarts, one leaves, one crashes, and so do the
// group leader, the active coordinator and the group's broker. In between, zombies try
// to commit for partitions that are others' by now.
//
// The exit status is 1 if at any step a partition had no owner or two, if the group
// began a new generation where nobody should have noticed anything, or if a zombie's commit
// was accepted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

const (
	group      = "tills"
	partitions = 6
	session    = time.Second            // silent for so long: out of the group
	heartbeat  = 100 * time.Millisecond // also how soon a member hears of a rebalance
)

func main() { story.Main("consumer-group", run) }

func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (verdict, error) {
	stage := story.NewStage(out)
	defer stage.Close()
	c, err := brokersim.New(ctx, append(opts,
		brokersim.Topic(story.Topic, partitions, 2),
		brokersim.BrokerConfig(fmt.Sprintf("group.min.session.timeout.ms=%d", session.Milliseconds())),
	)...)
	if err != nil {
		return verdict{}, err
	}
	defer c.Close()
	stage.Follow(c, event.GroupRebalancing, event.GroupMemberLeft, event.GroupMemberExpired, event.GroupMemberReplaced,
		event.GroupGeneration, event.BrokerKilled, event.CoordinatorKilled, event.CoordinatorActive)

	t := &telling{ctx: ctx, stage: stage, cluster: c, members: map[string]*member{}}
	defer t.close()
	if err := t.all(); err != nil {
		return verdict{}, err
	}
	stage.Heading("who owned what (* leads the group)")
	stage.Print(strings.Join(t.table, "\n"))
	return t.verdict, nil
}

// all is the story. A step is told, done, and then looked at.
func (t *telling) all() error {
	for _, s := range []step{
		{"ann joins", t.joins("ann"), false},
		{"bob joins", t.joins("bob"), false},
		{"cay joins", t.joins("cay"), false},
		{"dan joins, as till-4", t.joins("dan"), false},
		{"dan's process restarts", t.restarts("dan"), true},
		{"bob leaves", t.leaves("bob"), false},
		{"cay crashes", t.crashes("cay"), false},
		{"eve joins", t.joins("eve"), false},
		{"ann, the group leader, crashes", t.crashes("ann", "dan"), false},
		{"the active coordinator is killed", t.coordinatorDies, true},
		{"the group's broker is killed", t.brokerDies, true},
	} {
		if err := t.take(s); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

func (t *telling) joins(name string) action {
	return func() (_ []zombie, err error) {
		t.members[name], err = newMember(t.cluster, name)
		return nil, err
	}
}

// restarts ends a static member's process and starts it again. It leaves no word when it goes, and
// takes its own place when it comes; the process before may still believe that it is the one.
func (t *telling) restarts(name string) action {
	return func() ([]zombie, error) {
		before := t.members[name].zombie(name + "'s process before")
		t.members[name].Close()
		_, err := t.joins(name)()
		return []zombie{before}, err
	}
}

func (t *telling) leaves(name string) action {
	return func() ([]zombie, error) {
		t.members[name].Close()
		delete(t.members, name)
		return nil, nil
	}
}

// crashes ends a member without a goodbye: only its silence tells. Meanwhile others may sleep,
// and miss the rebalance that follows.
func (t *telling) crashes(name string, sleepers ...string) action {
	return func() (zombies []zombie, _ error) {
		for _, s := range sleepers {
			zombies = append(zombies, t.members[s].zombie(s+", before it heard of that,"))
		}
		zombies = append(zombies, t.members[name].zombie(name))
		t.members[name].Crash()
		delete(t.members, name)
		return zombies, nil
	}
}

func (t *telling) coordinatorDies() ([]zombie, error) {
	err := t.cluster.Coordinator().Active().Kill()
	return nil, errors.Join(err, t.cluster.Wait(t.ctx, brokersim.ActiveCoordinator()), t.pass(session+heartbeat))
}

func (t *telling) brokerDies() ([]zombie, error) {
	g, _ := t.cluster.Snapshot().Group(group)
	err := errors.Join(t.cluster.Broker(g.Broker).Kill(), t.cluster.Wait(t.ctx, brokersim.GroupServed(group)))
	g, _ = t.cluster.Snapshot().Group(group)
	t.stage.Say("broker %d is the group's broker now", g.Broker)
	return nil, errors.Join(err, t.pass(session+heartbeat))
}

// pass lets time go by in which members would be missed.
func (t *telling) pass(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

// close ends the members that are left.
func (t *telling) close() {
	for _, m := range t.members {
		m.Close()
	}
}
