package replication

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
)

// Tick looks at the clock, at the topic's config and at the brokers. It is to be
// called every half of replica.lag.time.max.ms if ReplicaConfig.Stirred was called
// since the time before, and when the registration of a broker or the config of the
// topic has changed.
func (r *Replica) Tick(now time.Time) {
	r.stirred.Store(false)
	r.Settle()
	r.mu.Lock()
	assigned := len(r.state.Replicas)
	r.mu.Unlock()
	settings := r.settings(assigned)
	r.lead(now, func(l *Leader, at Moment) Consequence {
		l.Configure(settings)
		return l.Tick(at)
	})
	r.leaveDamaged()
	at := r.moment(now)
	r.mu.Lock()
	restless := r.restlessLocked(at)
	r.mu.Unlock()
	if restless {
		r.stir()
	}
}

// Answered takes the coordinator's answer to a proposal. Success is only
// believed from the metadata log.
func (r *Replica) Answered(p Proposal, err error, now time.Time) {
	r.lead(now, func(l *Leader, at Moment) Consequence { return l.Answered(p, err, at) })
}

// lead lets something happen to the leader, if this replica leads, and does what
// follows from it.
func (r *Replica) lead(now time.Time, what func(*Leader, Moment) Consequence) {
	at := r.moment(now)
	r.mu.Lock()
	if r.role != Leading {
		r.mu.Unlock()
		return
	}
	r.leader.StartsAt(r.cfg.Log.LogStartOffset())
	c := what(r.leader, at)
	r.publishLocked()
	r.publishLowLocked(at)
	restless := r.leader.Restless(at)
	r.mu.Unlock()
	r.after(c)
	if c.Advanced {
		r.notify(HighWatermarkMoved)
	}
	if restless {
		r.stir()
	}
}

// publishLocked shows the current state to those who wait for the high watermark.
func (r *Replica) publishLocked() {
	if r.role != Leading {
		r.marks.set(mark{})
		r.lows.set(mark{})
		return
	}
	r.marks.set(mark{open: true, epoch: r.state.LeaderEpoch, offset: r.leader.HighWatermark(), short: r.leader.UnderMinISR()})
}

// publishLowLocked shows the low watermark to those who wait for it.
func (r *Replica) publishLowLocked(at Moment) {
	if r.role == Leading {
		r.lows.set(mark{open: true, epoch: r.state.LeaderEpoch, offset: r.lowWatermarkLocked(at)})
	}
}

// after does what follows from an event. No lock is held.
func (r *Replica) after(c Consequence) {
	if c.Advanced && r.cfg.Events.Wants(event.HWAdvanced) {
		r.mu.Lock()
		epoch, hw := r.state.LeaderEpoch, r.highWatermarkLocked()
		r.mu.Unlock()
		r.emit(event.HWAdvanced, epoch, map[string]any{"hw": hw})
	}
	if c.Propose != nil {
		r.cfg.Propose(*c.Propose)
	}
}

func (r *Replica) emit(kind event.Kind, epoch int32, data map[string]any) {
	tp := r.cfg.ID.Partition
	r.cfg.Events.Emit(event.Event{
		Kind: kind, Node: r.cfg.Node, Topic: r.cfg.Topic, Part: tp, Data: data,
		Because: []event.Key{event.LeaderKey(r.cfg.Topic, tp, epoch)},
	})
}

func (r *Replica) moment(now time.Time) Moment { return Moment{Now: now, Brokers: r.cfg.Image()} }

func (r *Replica) settings(assigned int) LeaderSettings {
	config := r.cfg.Config()
	return LeaderSettings{
		MinISR:     metadata.EffectiveMinISR(config.MinInsyncReplicas, assigned),
		LagTimeMax: r.cfg.LagTimeMax(),
		SelfEpoch:  r.cfg.SelfEpoch(),
	}
}

// failed gives up: a disk that lost a write cannot be trusted with the next one.
// Of a replica that is closed it is no news: its log may be closed, too.
func (r *Replica) failed(err error) {
	if !r.end() {
		return
	}
	err = r.distrust(err)
	if r.cfg.Failed != nil {
		r.cfg.Failed(fmt.Errorf("%s: %w", r, err))
	}
}
