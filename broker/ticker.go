package broker

import (
	"context"
	"time"
)

// tick lets every replica look at the time, twice in replica.lag.time.max.ms,
// and whenever brokers came or went, until ctx ends: a leader drops followers
// that have fallen behind and takes in those that may join now. A log to which
// nothing was appended from one of these times to the next gives its tail back.
func (b *Broker) tick(ctx context.Context) error {
	every := max(b.cfg.Config.ReplicaLagTimeMax/2, time.Millisecond)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		resting := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.recheck:
		case <-timer.C:
			timer.Reset(every)
			resting = true
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		for h := range b.replicas.each() {
			h.replica.Tick(time.Now())
			if resting {
				h.log.Rest()
			}
		}
	}
}

// retain removes old segments every log.retention.check.interval.ms until ctx ends.
func (b *Broker) retain(ctx context.Context) error {
	for {
		if err := sleep(ctx, b.cfg.Config.RetentionCheck); err != nil {
			return err
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		for h := range b.replicas.each() {
			// A replica whose disk broke has said so itself, and one that was dropped
			// meanwhile is no news.
			_ = h.replica.Retain(ctx, time.Now())
		}
		if err := b.replicas.Keep(); err != nil {
			return err
		}
	}
}

// How often idle producers are forgotten: Kafka's
// producer.id.expiration.check.interval.ms.
const expireProducersEvery = 10 * time.Minute

// expireProducers forgets idempotent producers that have been silent for longer
// than producer.id.expiration.ms, until ctx ends.
func (b *Broker) expireProducers(ctx context.Context) error {
	for {
		if err := sleep(ctx, expireProducersEvery); err != nil {
			return err
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		for h := range b.replicas.each() {
			h.log.ExpireProducers(time.Now())
		}
	}
}
