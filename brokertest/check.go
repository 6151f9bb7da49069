package brokertest

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/invariant"
)

// CheckInvariants ends the test if the cluster breaks one of the rules of
// internal/invariant now: logs agree below the high watermark, one leader an
// epoch, the rules of ISR and ELR, no high watermark above what its replicas
// hold; in groups no partition has two owners, all have one when a generation is
// Stable, and nothing is committed beyond a high watermark. It may be called at any time,
// faults in force or not.
func (c *C) CheckInvariants() {
	c.tb.Helper()
	if wrong := c.broken(); len(wrong) > 0 {
		c.tb.Fatalf("%s", lines("the cluster breaks its rules:", wrong))
	}
}

// broken returns every rule that is broken.
func (c *C) broken() (wrong []error) {
	past, wrong := whatHappened(recent(c.Cluster, 1<<62))
	for _, v := range c.views(past.unclean) {
		wrong = append(wrong, invariant.Check(v)...)
	}
	for _, g := range c.groups(past) {
		wrong = append(wrong, invariant.CheckGroup(g)...)
	}
	return wrong
}

// A past is what a look at the cluster has to know of what happened before.
type past struct {
	unclean map[string]bool      // partitions that have had an unclean election
	created map[string]time.Time // topics
	deleted map[string]bool
	formed  map[string]time.Time // the newest generation of each group
}

// whatHappened goes through the events, and returns what they break.
func whatHappened(events []brokersim.Event) (p past, wrong []error) {
	p = past{unclean: map[string]bool{}, created: map[string]time.Time{}, deleted: map[string]bool{}, formed: map[string]time.Time{}}
	var h invariant.History
	for _, e := range events {
		var err error
		group, _ := e.Data["group"].(string)
		switch e.Kind {
		case event.LeaderElected:
			leader, _ := e.Data["leader"].(int32)
			epoch, _ := e.Data["epoch"].(int32)
			err = h.Elected(e.Topic, e.Part, epoch, leader)
			if u, _ := e.Data["unclean"].(bool); u {
				p.unclean[place(e.Topic, e.Part)] = true
			}
		case event.TopicCreated:
			p.created[e.Topic] = e.Time
		case event.TopicDeleted:
			p.deleted[e.Topic] = true
		case event.GroupGeneration:
			generation, _ := e.Data["generation"].(int32)
			err = h.Formed(group, generation)
			p.formed[group] = e.Time
		case event.GroupDeleted:
			h.Deleted(group)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return p, wrong
}

func place(topic string, partition int32) string { return fmt.Sprintf("%s-%d", topic, partition) }

// views looks at every partition. The replicas of a snapshot are asked one after
// another, so what a leader calls committed is taken from a first look and what
// others hold from a second: a log that held it then holds it still.
func (c *C) views(unclean map[string]bool) []invariant.View {
	first, second := c.Snapshot(), c.Snapshot()
	inside := map[int32]bool{}
	for _, b := range second.Brokers {
		inside[b.ID] = b.Registration != brokersim.Fenced && b.Registration != brokersim.Unknown
	}
	var views []invariant.View
	for _, p := range second.Partitions {
		v := invariant.View{
			Topic: p.Topic, Partition: p.Partition, MinISR: p.MinISR, Inside: inside,
			Unclean: unclean[place(p.Topic, p.Partition)], Compacted: p.Compacted,
			Decided: invariant.Decided{
				Replicas: p.Assigned, ISR: p.ISR, ELR: p.ELR, LastKnownLeader: p.LastKnownLeader,
				Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Recovering: p.Recovering,
			},
		}
		before, ok := first.Partition(p.Topic, p.Partition)
		for _, r := range p.Replicas {
			if r.Leads && (!ok || before.PartitionEpoch != p.PartitionEpoch) {
				r.Leads = false // the ISR changed between the looks: ask less of it
			}
			if earlier, ok := before.Replica(r.Broker); ok && r.Leads {
				r = asBefore(r, earlier)
			}
			v.Replicas = append(v.Replicas, c.replica(p, r, before))
		}
		views = append(views, v)
	}
	return views
}

// asBefore takes from the earlier look what a leader called committed.
func asBefore(now, earlier brokersim.ReplicaState) brokersim.ReplicaState {
	now.HW, now.Leads = earlier.HW, earlier.Leads && earlier.LeaderEpoch == now.LeaderEpoch
	return now
}

// mostRecords bounds how much of each log is compared: its newest part.
const mostRecords = 1 << 16

func (c *C) replica(p brokersim.PartitionState, r brokersim.ReplicaState, before brokersim.PartitionState) invariant.Replica {
	v := invariant.Replica{
		Broker: r.Broker, Leads: r.Leads, LeaderEpoch: r.LeaderEpoch, LogStart: r.LogStart, HW: r.HW, LEO: r.LEO,
	}
	if r.Leads && r.Broker == before.Leader {
		v.MaximalISR, v.FollowerEnds = before.MaximalISR, map[int32]int64{}
		for _, f := range before.Replicas {
			if f.KnownLEO >= 0 {
				v.FollowerEnds[f.Broker] = f.KnownLEO
			}
		}
	}
	from := max(r.LogStart, r.HW-mostRecords)
	batches, err := c.Cluster.Broker(r.Broker).Batches(p.Topic, p.Partition, from, r.HW)
	if err != nil {
		return v // it is paused, went down or truncated meanwhile
	}
	for _, b := range batches {
		v.Batches = append(v.Batches, invariant.Batch{Base: b.BaseOffset, Last: b.LastOffset, Epoch: b.LeaderEpoch, Bytes: b.Bytes, Sum: b.Sum})
	}
	return v
}

// leaks returns the goroutines of a closed cluster that have not ended. The last
// steps of one that has been joined take a moment.
func leaks(c *brokersim.Cluster) []error {
	deadline := time.After(5 * time.Second)
	for {
		left := c.Goroutines()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			var errs []error
			for _, stack := range left {
				errs = append(errs, fmt.Errorf("a goroutine is left: %s", stack))
			}
			return errs
		}
	}
}
