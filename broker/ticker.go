package broker

import (
	"context"
	"time"
)

// sweepEvery is how often the ticker looks at every replica, stirred or not: should one
// have missed its cue, it is not lost. Ten thousand of them are 20 ms of a core.
const sweepEvery = time.Minute

// tick lets replicas look at the time, twice in replica.lag.time.max.ms, until ctx
// ends: a leader drops followers that have fallen behind and takes in those that may
// join now. Only those are asked where something has happened or is under way; all are
// whenever brokers or configs changed.
func (b *Broker) tick(ctx context.Context) error {
	every := max(b.cfg.Config.ReplicaLagTimeMax/2, time.Millisecond)
	timer := time.NewTimer(every)
	defer timer.Stop()
	ticker := ticker{replicas: b.replicas, swept: time.Now()}
	for {
		round := ticker.all
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.recheck:
		case <-timer.C:
			timer.Reset(every)
			round = ticker.round
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		round()
	}
}

// A ticker asks the replicas. It is for one goroutine.
type ticker struct {
	replicas *replicaTable
	rounds   uint64
	before   []*hosted // who was stirred at the last round
	swept    time.Time // when every replica was looked at
}

// all ticks every replica. Who was stirred is looked at again in the next round, which
// is the one that lets logs rest.
func (t *ticker) all() {
	for h := range t.replicas.each() {
		h.replica.Tick(time.Now())
	}
}

// round ticks those that were stirred. A log to which nothing was appended from one
// round to the next gives its tail back, so those of the round before are let rest again.
func (t *ticker) round() {
	t.rounds++
	if now := time.Now(); now.Sub(t.swept) >= sweepEvery {
		t.swept = now
		t.sweep()
		return
	}
	now := t.replicas.stirred.take()
	for _, h := range now {
		again := h.round == t.rounds
		h.round = t.rounds
		if !again && !h.dropped.Load() {
			h.replica.Tick(time.Now())
			h.log.Rest()
		}
	}
	for _, h := range t.before {
		if h.round != t.rounds && !h.dropped.Load() {
			h.log.Rest()
		}
	}
	t.before = now
}

// sweep is a round for every replica.
func (t *ticker) sweep() {
	t.before = t.replicas.stirred.take()
	for h := range t.replicas.each() {
		h.replica.Tick(time.Now())
		h.log.Rest()
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
