package brokersim

import (
	"slices"
	"sync"
	"time"

	"github.com/brokersim/brokersim/broker"
	"github.com/brokersim/brokersim/metadata"
)

// newest is the newest image that anybody has been seen with: what the cluster
// has decided stays decided while the nodes that know it are down.
type newest struct {
	mu    sync.Mutex
	image *metadata.Image
}

func (n *newest) offer(im *metadata.Image) *metadata.Image {
	n.mu.Lock()
	defer n.mu.Unlock()
	if im != nil && (n.image == nil || im.Offset() > n.image.Offset()) {
		n.image = im
	}
	return n.image
}

// decided is what the coordinator has decided, as far as anybody knows.
func (c *Cluster) decided() *metadata.Image {
	image := c.newest.offer(metadata.NewImage(c.id))
	for _, n := range c.nodes {
		if run, ok := n.running(); ok {
			image = c.newest.offer(run.Image())
		}
	}
	for _, b := range c.brokers {
		if run, ok := b.running(); ok {
			image = c.newest.offer(run.Image())
		}
	}
	return image
}

// Snapshot looks at the whole cluster.
func (c *Cluster) Snapshot() Snapshot {
	s := Snapshot{Time: time.Now(), Seq: c.events.Last(), Faults: c.faults.states()}
	committed := c.committedOffsets() // before the replicas: no offset is beyond what they are seen to have
	replicas := c.replicas()
	image := c.decided() // after the replicas: whatever they have heard of is in it
	s.Offset = image.Offset()
	for _, t := range image.Topics() {
		for i := range t.Partitions {
			tp := metadata.TopicPartition{Topic: t.ID, Partition: int32(i)}
			s.Partitions = append(s.Partitions, c.partitionState(t, tp, replicas))
		}
	}
	s.Brokers = c.brokerStates(image)
	s.Quorum = c.quorumState()
	c.lookAtGroups(&s, image, committed)
	return s
}

// Partition looks at one partition. If there is no such partition, its Leader is -1.
func (c *Cluster) Partition(topic string, partition int32) PartitionState {
	if p, ok := c.Snapshot().Partition(topic, partition); ok {
		return p
	}
	return PartitionState{
		Topic: topic, Partition: partition, Leader: metadata.NoLeader, LastKnownLeader: metadata.NoLeader,
		HighWatermark: -1, LowWatermark: -1,
	}
}

// a hosted replica, as its broker tells.
type hosted struct {
	broker int32
	status broker.ReplicaStatus
}

func (c *Cluster) replicas() map[metadata.TopicPartition][]hosted {
	all := map[metadata.TopicPartition][]hosted{}
	for _, b := range c.brokers {
		if run, ok := b.running(); ok {
			for _, r := range run.Replicas() {
				all[r.ID] = append(all[r.ID], hosted{b.id, r})
			}
		}
	}
	return all
}

func (c *Cluster) partitionState(t *metadata.Topic, tp metadata.TopicPartition, all map[metadata.TopicPartition][]hosted) PartitionState {
	p, config := t.Partitions[tp.Partition], c.configs.Topic(t.Configs)
	state := PartitionState{
		Topic: t.Name, Partition: tp.Partition,
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Assigned: slices.Clone(p.Replicas), ISR: slices.Clone(p.ISR), ELR: slices.Clone(p.ELR),
		LastKnownLeader: p.LastKnownLeader, Recovering: p.Recovering,
		MinISR:        metadata.EffectiveMinISR(config.MinInsyncReplicas, len(p.Replicas)),
		Compacted:     config.CleanupPolicy.Compact(),
		HighWatermark: -1, LowWatermark: -1,
	}
	leader := func(h hosted) bool { return h.broker == p.Leader && h.status.Role == broker.Leading }
	var followers []broker.FollowerStatus
	if i := slices.IndexFunc(all[tp], leader); i >= 0 {
		l := all[tp][i].status
		state.HighWatermark, state.MaximalISR, followers = l.HighWatermark, slices.Clone(l.MaximalISR), l.Followers
		state.LowWatermark = l.LowWatermark
	}
	for _, id := range p.Replicas {
		if i := slices.IndexFunc(all[tp], func(h hosted) bool { return h.broker == id }); i >= 0 {
			state.Replicas = append(state.Replicas, replicaState(all[tp][i], p, followers))
		}
	}
	return state
}

func replicaState(h hosted, p metadata.Partition, followers []broker.FollowerStatus) ReplicaState {
	r := ReplicaState{
		Broker: h.broker, LogStart: h.status.LogStartOffset, LEO: h.status.LogEndOffset, HW: h.status.HighWatermark,
		Leads: h.status.Role == broker.Leading, LeaderEpoch: h.status.LeaderEpoch,
		InSync: slices.Contains(p.ISR, h.broker), Eligible: slices.Contains(p.ELR, h.broker), KnownStart: -1, KnownLEO: -1,
	}
	if h.broker == p.Leader && r.Leads {
		r.KnownStart, r.KnownLEO = r.LogStart, r.LEO
	}
	for _, e := range h.status.EpochStarts {
		r.EpochStarts = append(r.EpochStarts, EpochStart{e.Epoch, e.Offset})
	}
	for _, f := range followers {
		if f.Broker == h.broker {
			r.KnownStart, r.KnownLEO, r.LastCaughtUp = f.LogStart, f.LogEndOffset, f.LastCaughtUp
		}
	}
	return r
}

func (c *Cluster) brokerStates(image *metadata.Image) []BrokerState {
	states := make([]BrokerState, len(c.brokers))
	for i, b := range c.brokers {
		s := BrokerState{ID: b.id, Rack: c.cfg.rack(b.id), Process: b.now(), Failure: b.failure(), Registration: Unknown, Epoch: -1, Offset: -1}
		if r, ok := image.Broker(b.id); ok {
			s.Registration, s.Epoch = registration(r), r.Epoch
		}
		if run, ok := b.running(); ok {
			if im := run.Image(); im != nil {
				s.Offset = im.Offset()
			}
		}
		states[i] = s
	}
	return states
}

func registration(b metadata.Broker) Registration {
	switch {
	case b.ShuttingDown:
		return ShuttingDown
	case b.Fenced:
		return Fenced
	}
	return Unfenced
}

func (c *Cluster) quorumState() QuorumState {
	var q QuorumState
	if n, term := c.active(); n != nil {
		q.Active, q.Epoch = n.name, term
	}
	for _, n := range c.nodes {
		s := NodeState{Name: n.name, Process: n.now(), Failure: n.failure(), Offset: -1}
		if run, ok := n.running(); ok {
			s.Offset = run.Image().Offset()
		}
		q.Nodes = append(q.Nodes, s)
	}
	return q
}
