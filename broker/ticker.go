package broker

import (
	"context"
	"time"
)

// tick lets every replica look at the time, twice in replica.lag.time.max.ms,
// and whenever brokers came or went, until ctx ends: a leader drops followers
// that have fallen behind and takes in those that may join now.
func (b *Broker) tick(ctx context.Context) error {
	every := max(b.cfg.Config.ReplicaLagTimeMax/2, time.Millisecond)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.recheck:
		case <-timer.C:
			timer.Reset(every)
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		for h := range b.replicas.each() {
			h.replica.Tick(time.Now())
		}
	}
}
