package groups

import (
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

const (
	// loadBytes is how much of the offsets topic is read at once.
	loadBytes = 1 << 20
	// loadRest is the pause before a log is tried again that could not be read.
	loadRest = time.Second
)

// load reads what is committed, and then lets the shard be found ready. It ends early with
// the leadership.
//
// First it writes a record of its own epoch. When that is committed, every in-sync replica has
// cut what it had of former leaders beyond that leader's log, so nothing that a former
// leader told nobody of can ever come back.
func (s *shard) load() {
	for s.ctx.Err() == nil {
		err := s.tryLoad()
		if err == nil {
			close(s.loaded)
			s.tell()
			return
		}
		if errors.Is(err, metadata.ErrNotLeaderOrFollower) || s.ctx.Err() != nil {
			return // the next leadership has another shard
		}
		s.groups.cfg.Logger.Warn("committed offsets cannot be read", "partition", s.partition, "error", err)
		if rest(s.ctx, loadRest) != nil {
			return
		}
	}
}

func (s *shard) tryLoad() error {
	now := time.Now()
	marker := partition.BatchOf([]partition.KeyValue{{Key: offsets.Marker()}}, now.UnixMilli())
	mark, err := s.replica.AppendIn(s.ctx, s.epoch, marker, 1, now)
	if err != nil {
		return err
	}
	if err := s.replica.AwaitSynced(mark); err != nil {
		return err
	}
	end := mark.LastOffset + 1
	if !guard.MarkerFirst.Holds() {
		end = s.replica.HighWatermark()
	}
	if err := s.replica.AwaitPassed(s.ctx, s.epoch, end); err != nil {
		return err
	}
	s.mu.Lock()
	s.table = offsets.Table{}
	s.mu.Unlock()
	return s.read(end)
}

// read takes the records below an offset into the table.
func (s *shard) read(end int64) error {
	var buf []byte
	for at := s.replica.Log().LogStartOffset(); at < end; {
		if err := s.groups.cfg.Gate.Pass(); err != nil {
			return err
		}
		res := s.replica.Read(buf[:0], replication.ReadRequest{
			Offset: at, MaxBytes: loadBytes, AtLeastOne: true,
			CurrentLeaderEpoch: s.epoch, LastFetchedEpoch: -1, Follower: replication.Consumer,
		}, time.Now())
		if res.Err != nil {
			return res.Err
		}
		next := at
		for b := range partition.Batches(res.Records) {
			next = b.NextOffset()
		}
		if next == at {
			return fmt.Errorf("%w: nothing is there from offset %d on", metadata.ErrCorruptMessage, at)
		}
		if err := s.takeBatches(res.Records); err != nil {
			return err
		}
		buf, at = res.Records, next
	}
	return nil
}

func (s *shard) takeBatches(batches []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kv, err := range partition.KeyValues(batches) {
		if err != nil {
			return err
		}
		r, ok, err := offsets.Read(kv.Key, kv.Value)
		if err != nil {
			s.groups.cfg.Logger.Warn("a record of the offsets topic is passed over", "partition", s.partition, "offset", kv.Offset, "error", err)
		}
		if ok {
			s.table.Take(r, kv.Offset)
		}
	}
	return nil
}

// tell says that the groups have a broker, if there are any.
func (s *shard) tell() {
	s.mu.Lock()
	groups, commits := s.table.Size()
	s.mu.Unlock()
	if groups == 0 {
		return
	}
	s.groups.cfg.Events.Emit(event.Event{
		Kind: event.OffsetsLoaded, Node: s.groups.cfg.Node, Topic: metadata.OffsetsTopic, Part: s.partition,
		Because: []event.Key{event.LeaderKey(metadata.OffsetsTopic, s.partition, s.epoch)},
		Data:    map[string]any{"groups": groups, "offsets": commits, "epoch": s.epoch},
	})
}
