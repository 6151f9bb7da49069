package groups

import (
	"time"

	"github.com/brokersim/brokersim/consumergroup/offsets"
)

// An OffsetsStatus is what a broker knows of the groups of one partition of
// __consumer_offsets that it leads, at one moment.
type OffsetsStatus struct {
	Partition   int32
	LeaderEpoch int32
	Groups      map[string]CommittedOffsets // those that have committed something
}

// CommittedOffsets is how far a group has come. Offsets of topics that are gone are not in it.
type CommittedOffsets struct {
	Offsets map[offsets.Place]int64
	// Pending says that the newest of them is not with all in-sync replicas yet, so no client
	// was told of it, and it can still be lost.
	Pending bool
}

// Committed is what groups have committed, for each partition of __consumer_offsets whose groups
// this broker serves now. It waits for nothing.
func (g *Groups) Committed() []OffsetsStatus {
	shards, _ := g.led()
	all := make([]OffsetsStatus, len(shards))
	for i, s := range shards {
		all[i] = s.status()
	}
	return all
}

func (s *shard) status() OffsetsStatus {
	age := ageOf(s.groups.image(), time.Time{}, 0)
	status := OffsetsStatus{Partition: s.partition, LeaderEpoch: s.epoch, Groups: map[string]CommittedOffsets{}}
	last := map[string]int64{}
	s.mu.Lock()
	for _, id := range s.table.Groups() {
		known := CommittedOffsets{Offsets: map[offsets.Place]int64{}}
		for p, c := range s.table.Of(id) {
			if !age.Gone(p, c) {
				known.Offsets[p] = c.Offset
			}
		}
		status.Groups[id], last[id] = known, s.table.Last(id)
	}
	s.mu.Unlock()
	committed := s.replica.HighWatermark()
	for id, known := range status.Groups {
		known.Pending = last[id] >= committed
		status.Groups[id] = known
	}
	return status
}
