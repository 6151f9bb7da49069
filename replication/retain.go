package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/partition"
)

// Retain removes the oldest segments of the log as the topic's configs ask for it,
// in whatever role: only what is committed, as far as this replica knows. It waits
// for the log, until ctx ends.
func (r *Replica) Retain(ctx context.Context, now time.Time) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	r.settle()
	log, config := r.cfg.Log, r.cfg.Config()
	before := log.LogStartOffset()
	_, err := log.Retain(now, r.HighWatermark(), partition.Retention{
		Delete: config.CleanupPolicy.Delete(), Time: config.Retention, Bytes: config.RetentionBytes,
	})
	if err != nil {
		r.failed(err)
		return fmt.Errorf("%s: %w", r, err)
	}
	r.started(before, r.leaderEpoch(), "retention")
	return nil
}
