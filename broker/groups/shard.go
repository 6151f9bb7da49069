package groups

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

// A shard is what this broker does for the groups of one partition of
// __consumer_offsets while it leads that in one leader epoch.
//
// The slot is the fence. Whoever appends holds it from the look at the group's facts
// to the end of the append; whoever passes on an answer that shows newer facts takes it
// once in between. So no commit that the old facts allowed is appended after a member has
// heard of the new ones.
type shard struct {
	groups    *Groups
	partition int32
	epoch     int32
	replica   *replication.Replica
	ctx       context.Context // ends with the leadership, and with the broker
	end       context.CancelFunc
	loaded    chan struct{} // closed once all is known that is committed
	promises  *promises

	slot  chan struct{}
	facts map[string]knownGroup // with the slot

	mu    sync.Mutex // a leaf
	table offsets.Table
}

// knownGroup is what was decoded of a group, as of a metadata offset.
type knownGroup struct {
	offset int64
	facts  consumergroup.Facts
}

func newShard(g *Groups, partition, epoch int32, r *replication.Replica) *shard {
	s := &shard{
		groups: g, partition: partition, epoch: epoch, replica: r,
		loaded: make(chan struct{}), promises: newPromises(), slot: make(chan struct{}, 1), facts: map[string]knownGroup{},
	}
	s.ctx, s.end = context.WithCancel(g.ctx)
	return s
}

func (s *shard) ready() bool {
	select {
	case <-s.loaded:
		return s.ctx.Err() == nil
	default:
		return false
	}
}

// take waits for the slot; it fails if ctx or the leadership ends first.
func (s *shard) take(ctx context.Context) error {
	select {
	case s.slot <- struct{}{}:
		return nil
	case <-s.ctx.Done():
		return s.over()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", metadata.ErrCoordinatorNotAvailable, context.Cause(ctx))
	}
}

func (s *shard) release() { <-s.slot }

func (s *shard) over() error {
	return fmt.Errorf("%w: of %s-%d in leader epoch %d", metadata.ErrNotCoordinator, metadata.OffsetsTopic, s.partition, s.epoch)
}

// settled returns once every commit that was let in by older facts than those of the
// published image has been appended, and nil if this broker still leads.
func (s *shard) settled(ctx context.Context) error {
	if guard.FenceBeforeAnswer.Holds() {
		if err := s.take(ctx); err == nil {
			s.release()
		} else if guard.LeadsBeforeAnswer.Holds() {
			return err
		}
	}
	if epoch, ok := s.replica.Leading(); (!ok || epoch != s.epoch) && guard.LeadsBeforeAnswer.Holds() {
		return s.over()
	}
	return nil
}

// of returns the committed facts of a group, nil if it is not there. The caller has the slot.
func (s *shard) of(im *metadata.Image, group string) (consumergroup.Facts, error) {
	kept, ok := im.Group(group)
	if !ok {
		delete(s.facts, group)
		return nil, nil
	}
	if known, ok := s.facts[group]; ok && known.offset == kept.Offset {
		return known.facts, nil
	}
	f, err := consumergroup.FactsOf(kept)
	if err != nil {
		return nil, fmt.Errorf("group %q: %w", group, err)
	}
	s.facts[group] = knownGroup{kept.Offset, f}
	return f, nil
}

// A fence says what is to be written for a group, by its facts and what it has committed; an
// error keeps it out. It is called with the slot.
type fence func(f consumergroup.Facts, t *offsets.Table) ([]offsets.Record, error)

// write appends what the fence lets in, to be committed. pending is what to wait for; nil if
// there was nothing to write. Errors are those that clients of groups are told.
func (s *shard) write(ctx context.Context, group string, let fence) (pending *pendingCommit, err error) {
	if err := s.take(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	f, err := s.of(s.groups.image(), group)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	records, err := let(f, &s.table)
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("group %q: %w", group, err)
	}
	// Tombstones may be many; a commit is one batch, whatever its size.
	for part := range slices.Chunk(records, max(1, recordsPerBatch(records))) {
		appended, err := s.append(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("group %q: %w", group, err)
		}
		pending = &pendingCommit{s.replica, appended}
	}
	return pending, nil
}

// recordsPerBatch is how many records go into one batch: all, but for tombstones.
func recordsPerBatch(records []offsets.Record) int {
	const most = 256 << 10
	bytes := 0
	for i, r := range records {
		if r.Commit != nil {
			return len(records)
		}
		if bytes += len(r.Group) + len(r.Topic) + 32; bytes > most {
			return i
		}
	}
	return len(records)
}

// append writes records in one batch and takes them into the table.
func (s *shard) append(ctx context.Context, records []offsets.Record) (replication.Appended, error) {
	now := time.Now()
	kvs := make([]partition.KeyValue, len(records))
	for i, r := range records {
		kvs[i].Key = offsets.KeyOf(r.Group, r.Place)
		if r.Commit != nil {
			kvs[i].Value = offsets.ValueOf(*r.Commit)
		}
	}
	a, err := s.replica.AppendIn(ctx, s.epoch, partition.BatchOf(kvs, now.UnixMilli()), acksAll, now)
	if err != nil {
		return a, commitError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range records {
		s.table.Take(r, a.BaseOffset+int64(i))
	}
	return a, nil
}

// committed returns what a group has committed, once all of it is committed in the log, too:
// what it shows cannot be lost any more.
func (s *shard) committed(ctx context.Context, group string) (map[offsets.Place]offsets.Commit, error) {
	s.mu.Lock()
	commits, last := s.table.Of(group), s.table.Last(group)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, offsetCommitWait)
	defer cancel()
	if !guard.FetchCommitted.Holds() {
		last = -1
	}
	if err := s.replica.AwaitPassed(ctx, s.epoch, last+1); err != nil {
		return nil, fmt.Errorf("group %q: %w", group, commitError(err))
	}
	im := s.groups.image()
	for p, c := range commits {
		if ageOf(im, time.Time{}, 0).Gone(p, c) {
			delete(commits, p)
		}
	}
	return commits, nil
}

// has reports whether the group has committed anything.
func (s *shard) has(group string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Has(group)
}

// known returns the groups of this shard in order: those that exist by their facts, and
// those that have committed offsets and nothing else.
func (s *shard) known(im *metadata.Image) []string {
	s.mu.Lock()
	ids := s.table.Groups()
	s.mu.Unlock()
	topic := im.TopicByName(metadata.OffsetsTopic)
	for _, id := range im.GroupIDs() {
		if topic != nil && metadata.GroupPartition(id, len(topic.Partitions)) == s.partition {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
