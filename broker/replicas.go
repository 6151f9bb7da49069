package broker

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

// A hosted replica is one that lives on this broker's disk.
type hosted struct {
	replica *replication.Replica
	log     *partition.Log
	dir     string
	config  atomic.Pointer[metadata.TopicConfig]

	// Where it is fetched from; only the table's goroutine uses these.
	leader int32 // NoLeader: from nowhere
	epoch  int32

	round   uint64      // of the ticker, which alone uses it, that ticked this replica last
	dropped atomic.Bool // it is not in the table any more
}

// A replicaTable holds the replicas that the metadata log gives to this broker:
// it makes, deletes and instructs them, and sees to it that each follower is
// fetched from its leader. changed is called from one goroutine, the metadata
// follower's, and costs what the change costs. Everybody may look.
type replicaTable struct {
	cfg        Config
	node       string
	epoch      func() int64
	images     *images
	propose    func(replication.Proposal)
	recheck    func()      // brokers or configs changed: leaders should look at their ISRs
	configured func()      // replicas or their configs changed
	failed     func(error) // the disk broke
	removals   *removals
	settling   *settling
	stirred    stirred
	scrubs     *scrubber
	starts     *logStarts
	cleaned    *cleaned
	fetchers   *fetchers

	tails  *partition.Tails // what the logs' tails share
	hosted sync.Map         // metadata.TopicPartition -> *hosted
	known  atomic.Bool      // hosted has every log that belongs here

	found      map[string]*foundLog // logs from before the start that no topic has claimed yet, by directory
	watermarks offsetCheckpoint     // as they were checkpointed
	marks      *marksFile           // where they are checkpointed
}

// tailMemory bounds what of the logs of a broker is kept in memory for those who
// read near their ends.
const tailMemory = 64 << 20

// get returns the replica of tp, or nil.
func (t *replicaTable) get(tp metadata.TopicPartition) *hosted {
	if h, ok := t.hosted.Load(tp); ok {
		return h.(*hosted)
	}
	return nil
}

// each yields every replica, in no order.
func (t *replicaTable) each() iter.Seq[*hosted] {
	return func(yield func(*hosted) bool) {
		t.hosted.Range(func(_, h any) bool { return yield(h.(*hosted)) })
	}
}

// changed brings the replicas to what the metadata log says now.
func (t *replicaTable) changed(c change) {
	var err error
	if c.whole {
		err = t.followImage(c.after)
	} else {
		err = t.followDeltas(c)
	}
	t.fetchers.heed()
	if err != nil {
		t.failed(err)
	}
}

// followImage compares everything.
func (t *replicaTable) followImage(im *metadata.Image) error {
	for h := range t.each() {
		if !hosts(im, h.replica.ID(), t.cfg.ID) {
			t.drop(h)
		}
	}
	for _, topic := range im.Topics() {
		t.configure(topic)
		for p := range topic.Partitions {
			if err := t.update(im, metadata.TopicPartition{Topic: topic.ID, Partition: int32(p)}); err != nil {
				return err
			}
		}
	}
	t.known.Store(true)
	t.discardUnclaimed()
	t.recheck()
	return nil
}

// followDeltas looks only at what changed. A partition that changed more than
// once is brought to its newest state at once; deletions come first, since a
// topic's successor may have its name.
func (t *replicaTable) followDeltas(c change) error {
	var touched []metadata.TopicPartition
	for _, d := range c.deltas {
		switch d := d.(type) {
		case metadata.TopicDeleted:
			t.dropTopic(c.before.TopicByID(d.ID))
		case metadata.TopicCreated:
			for p := range d.Topic.Partitions {
				touched = append(touched, metadata.TopicPartition{Topic: d.Topic.ID, Partition: int32(p)})
			}
		case metadata.PartitionChanged:
			touched = append(touched, d.TopicPartition)
		case metadata.TopicConfigured:
			t.configure(c.after.TopicByID(d.ID))
			t.configured()
			defer t.recheck()
		case metadata.BrokerRegistered:
			defer t.recheck()
		}
	}
	done := make(map[metadata.TopicPartition]bool, len(touched))
	for _, tp := range touched {
		if done[tp] {
			continue
		}
		done[tp] = true
		if err := t.update(c.after, tp); err != nil {
			return err
		}
	}
	return nil
}

// update brings one partition to its state in im.
func (t *replicaTable) update(im *metadata.Image, tp metadata.TopicPartition) error {
	h := t.get(tp)
	if !hosts(im, tp, t.cfg.ID) {
		if h != nil {
			t.drop(h)
		}
		return nil
	}
	state, _ := im.Partition(tp)
	if h == nil {
		var err error
		if h, err = t.host(im.TopicByID(tp.Topic), tp, state); err != nil {
			return err
		}
	}
	if settled := h.replica.Apply(state, time.Now()); !settled {
		t.settling.add(h.replica)
	}
	t.fetchers.follow(h, state)
	return nil
}

// hosts reports whether broker is one of the replicas of tp.
func hosts(im *metadata.Image, tp metadata.TopicPartition, broker int32) bool {
	p, ok := im.Partition(tp)
	return ok && slices.Contains(p.Replicas, broker)
}

// host makes the replica of tp, on the log that was found on the disk if there is
// one. This is the one disk call that the metadata follower makes.
func (t *replicaTable) host(topic *metadata.Topic, tp metadata.TopicPartition, state metadata.Partition) (*hosted, error) {
	name := topicPartition{topic.Name, tp.Partition}
	mark := t.watermarks[name]
	if err := t.missing(name, topic.ID, state, mark); err != nil {
		return nil, err
	}
	delete(t.watermarks, name) // what comes later under this name is another topic's
	h, unread := &hosted{dir: name.String(), leader: metadata.NoLeader}, int64(0)
	config := t.cfg.Config.Topic(topic.Configs)
	h.config.Store(&config)
	if found := t.claim(h.dir, topic.ID); found != nil {
		h.log, unread = found.log, found.log.RecoveryPoint()
		h.log.SetConfig(t.logConfig(&config, topic.ID))
	} else {
		t.removals.wait(h.dir)
		if err := errors.Join(t.starts.forget(name), t.cleaned.forget(name), t.marks.forget(name)); err != nil {
			return nil, err
		}
		log, _, err := partition.Open(t.cfg.FS, h.dir, t.logConfig(&config, topic.ID))
		if err != nil {
			return nil, fmt.Errorf("making the log %s: %w", h.dir, err)
		}
		h.log, mark = log, 0 // another topic's, if any
	}
	h.replica = replication.NewReplica(replication.ReplicaConfig{
		Topic: topic.Name, ID: tp, Self: t.cfg.ID, SelfEpoch: t.epoch,
		Log:           h.log,
		HighWatermark: min(max(mark, h.log.LogStartOffset()), h.log.LogEndOffset()),
		Image:         t.images.learned.Load,
		Config:        func() metadata.TopicConfig { return *h.config.Load() },
		LagTimeMax:    func() time.Duration { return t.cfg.Config.ReplicaLagTimeMax },
		Propose:       t.propose,
		Stirred:       func() { t.stirred.add(h) },
		Starts:        t,
		Events:        t.cfg.Events, Node: t.node, Failed: t.failed,
		Cut: func(to int64) error { return t.cleaned.cut(name, to) },
	})
	t.hosted.Store(tp, h)
	t.scrubs.add(h, unread)
	if config.FlushInterval < maxFlushInterval {
		t.configured()
	}
	return h, nil
}

// configure gives the replicas of a topic its configs.
func (t *replicaTable) configure(topic *metadata.Topic) {
	if topic == nil {
		return
	}
	config := t.cfg.Config.Topic(topic.Configs)
	for p := range topic.Partitions {
		if h := t.get(metadata.TopicPartition{Topic: topic.ID, Partition: int32(p)}); h != nil {
			h.config.Store(&config)
			h.log.SetConfig(t.logConfig(&config, topic.ID))
		}
	}
}

// logConfig is a topic's config as its logs want it.
func (t *replicaTable) logConfig(topic *metadata.TopicConfig, id metadata.UUID) partition.Config {
	c := partition.ConfigOf(*topic)
	c.ProducerIDExpiration = t.cfg.Config.ProducerIDExpiration
	c.TopicID, c.Tails = id, t.tails
	return c
}

// dropTopic drops the replicas of a topic that was deleted.
func (t *replicaTable) dropTopic(topic *metadata.Topic) {
	if topic == nil {
		return
	}
	for p := range topic.Partitions {
		if h := t.get(metadata.TopicPartition{Topic: topic.ID, Partition: int32(p)}); h != nil {
			t.drop(h)
		}
	}
}

// drop ends a replica and has its log removed.
func (t *replicaTable) drop(h *hosted) {
	t.hosted.Delete(h.replica.ID())
	h.dropped.Store(true)
	t.fetchers.unfollow(h)
	h.replica.Close()
	t.removals.add(h.dir, h.log)
}

// status is every replica's, by topic and partition.
func (t *replicaTable) status() []replication.Status {
	var all []replication.Status
	for h := range t.each() {
		all = append(all, h.replica.Status())
	}
	slices.SortFunc(all, func(a, b replication.Status) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID.Partition, b.ID.Partition))
	})
	return all
}

// closeReplicas wakes everybody who waits for a replica, for good.
func (t *replicaTable) closeReplicas() {
	for h := range t.each() {
		h.replica.Close()
	}
}

// closeLogs closes the files without syncing them.
func (t *replicaTable) closeLogs() {
	for h := range t.each() {
		h.log.Close()
	}
	for _, found := range t.found {
		found.log.Close()
	}
}

// leaveLogs makes every log durable, so that the next start need not read it, and
// returns where each one ends.
func (t *replicaTable) leaveLogs() (map[string]int64, error) {
	ends, now := map[string]int64{}, time.Now()
	for h := range t.each() {
		if err := h.log.Checkpoint(now); err != nil {
			return nil, fmt.Errorf("syncing the log %s: %w", h.dir, err)
		}
		ends[h.dir] = h.log.LogEndOffset()
	}
	for dir, found := range t.found {
		if err := found.log.Checkpoint(now); err != nil {
			return nil, fmt.Errorf("syncing the log %s: %w", dir, err)
		}
		ends[dir] = found.log.LogEndOffset()
	}
	return ends, nil
}

// highWatermarks is what the checkpoint file should say.
func (t *replicaTable) highWatermarks() offsetCheckpoint {
	c := offsetCheckpoint{}
	for h := range t.each() {
		c[h.name()] = h.replica.HighWatermark()
	}
	return c
}
