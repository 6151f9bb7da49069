package groups

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// Expire forgets offsets that are too old every offsets.retention.check.interval.ms, and
// those of deleted topics at once, until ctx ends. A group that has neither members nor
// offsets ends with that.
func (g *Groups) Expire(ctx context.Context) error {
	timer := time.NewTimer(g.cfg.Config.OffsetsRetentionCheck)
	defer timer.Stop()
	for {
		retention := time.Duration(1<<63 - 1) // only what is gone
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-g.sweep:
		case <-timer.C:
			retention = g.cfg.Config.OffsetsRetention
			timer.Reset(g.cfg.Config.OffsetsRetentionCheck)
		}
		if err := g.cfg.Gate.Pass(); err != nil {
			return err
		}
		shards, _ := g.led()
		for _, s := range shards {
			s.expire(ctx, retention)
		}
	}
}

// ageOf is what is too old, by what an image knows of topics.
func ageOf(im *metadata.Image, now time.Time, retention time.Duration) offsets.Age {
	return offsets.Age{Now: now, Retention: retention, Topic: func(name string) (metadata.UUID, bool) {
		if t := im.TopicByName(name); t != nil {
			return t.ID, true
		}
		return metadata.UUID{}, false
	}}
}

// expire forgets what is too old in one shard. What fails is tried the next time.
func (s *shard) expire(ctx context.Context, retention time.Duration) {
	im := s.groups.image()
	age := ageOf(im, time.Now(), retention)
	for _, group := range s.known(im) {
		pending, err := s.write(ctx, group, func(f consumergroup.Facts, t *offsets.Table) ([]offsets.Record, error) {
			return tombstones(group, t.Expired(group, f, age)), nil
		})
		if err == nil {
			err = pending.await(ctx)
		}
		if err != nil {
			s.groups.cfg.Logger.Warn("offsets that are too old cannot be forgotten", "group", group, "error", err)
			return
		}
		if kept, ok := im.Group(group); ok && retention == s.groups.cfg.Config.OffsetsRetention && !s.has(group) {
			s.endEmpty(ctx, group, kept)
		}
	}
	s.mu.Lock()
	s.table.Forget(s.replica.HighWatermark())
	s.mu.Unlock()
}

// endEmpty has a group deleted that nobody is in and that has no offsets.
func (s *shard) endEmpty(ctx context.Context, group string, kept metadata.Group) {
	f, err := consumergroup.FactsOf(kept)
	if err != nil || consumergroup.CheckDelete(f) != nil {
		return
	}
	if err := s.deleteGroup(ctx, group); err != nil && !errors.Is(err, metadata.ErrNonEmptyGroup) {
		s.groups.cfg.Logger.Warn("an empty group cannot be deleted", "group", group, "error", err)
	}
}

// deleteGroup has the active coordinator delete a group whose offsets are gone.
func (s *shard) deleteGroup(ctx context.Context, group string) error {
	ctx, cancel := context.WithTimeout(ctx, offsetCommitWait)
	defer cancel()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Version, req.Groups = 2, []string{group}
	r := relay{groups: s.groups, shard: s, channel: s.groups.cfg.Relays, Relay: wire.Relay{Broker: s.groups.cfg.ID, LeaderEpoch: s.epoch}}
	resp, err := r.do(ctx, req)
	if err != nil {
		return err
	}
	if d, ok := resp.(*kmsg.DeleteGroupsResponse); ok && len(d.Groups) == 1 {
		return wire.Err(d.Groups[0].ErrorCode)
	}
	return metadata.ErrUnknownServer
}

// tombstones are the records that delete a group's offsets in some places.
func tombstones(group string, places []offsets.Place) []offsets.Record {
	var records []offsets.Record
	for _, p := range places {
		records = append(records, offsets.Record{Group: group, Place: p})
	}
	return records
}
