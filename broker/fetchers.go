package broker

import (
	"context"
	"sync"
	"time"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// Of one answer of a leader, all partitions together: Kafka's
// replica.fetch.response.max.bytes.
const replicaFetchResponseBytes = 10 << 20

// How long a fetcher waits after an error before it tries again. What it meets
// most often is a new leader that has not heard of its election yet.
const fetchBackoff = 5 * time.Millisecond

// fetchers holds one fetcher for each broker that leads something this broker
// follows, each a goroutine with a connection of its own. Only the goroutine of
// the replica table uses it.
type fetchers struct {
	cfg    Config
	node   string
	ctx    context.Context // of the broker
	join   *sync.WaitGroup
	epoch  func() int64
	image  func() *metadata.Image
	starts replication.StartKeeper

	running map[int32]*fetching
}

type fetching struct {
	fetcher *replication.Fetcher
	stop    context.CancelFunc
	members int  // replicas that are fetched
	told    bool // it has to heed what was noted
}

func (f *fetching) note(id metadata.TopicPartition, r *replication.Replica) {
	f.fetcher.Note(id, r)
	f.told = true
}

// follow has a replica fetched from its leader, from now on. A replica that
// leads, or has no leader, is fetched from nowhere.
func (f *fetchers) follow(h *hosted, p metadata.Partition) {
	if p.Leader == f.cfg.ID || p.Leader == metadata.NoLeader {
		f.unfollow(h)
		return
	}
	if h.leader == p.Leader && h.epoch == p.LeaderEpoch {
		return
	}
	if h.leader != p.Leader {
		f.unfollow(h)
		f.from(p.Leader).members++
	}
	h.leader, h.epoch = p.Leader, p.LeaderEpoch
	f.running[h.leader].note(h.replica.ID(), h.replica)
}

// unfollow has a replica fetched from nowhere.
func (f *fetchers) unfollow(h *hosted) {
	if h.leader == metadata.NoLeader {
		return
	}
	from := f.running[h.leader]
	from.note(h.replica.ID(), nil)
	from.members--
	h.leader = metadata.NoLeader
}

// from returns the fetcher of a leader, started if need be.
func (f *fetchers) from(leader int32) *fetching {
	if running := f.running[leader]; running != nil {
		return running
	}
	ctx, stop := context.WithCancel(f.ctx)
	running := &fetching{stop: stop, fetcher: replication.NewFetcher(replication.FetcherConfig{
		Leader:            leader,
		Endpoint:          newPeer(f.cfg, leader, f.epoch, f.image),
		MaxWait:           f.cfg.Config.ReplicaFetchWaitMax,
		MaxBytes:          replicaFetchResponseBytes,
		PartitionMaxBytes: f.cfg.Config.ReplicaFetchMaxBytes,
		Backoff:           fetchBackoff,
		Starts:            f.starts,
		Gate:              f.cfg.Gate, Events: f.cfg.Events, Node: f.node,
		Seed: f.cfg.Seed + uint64(leader),
	})}
	f.running[leader] = running
	f.join.Go(func() {
		if err := running.fetcher.Run(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Logger.Warn("fetching ended", "leader", leader, "error", err)
		}
	})
	return running
}

// heed has the fetchers heed, at once, what has changed for them. Those that have
// nothing left to fetch are ended, without waiting for them.
func (f *fetchers) heed() {
	for leader, running := range f.running {
		if running.told {
			running.told = false
			running.fetcher.Heed()
		}
		if running.members == 0 {
			running.stop()
			delete(f.running, leader)
		}
	}
}
