package coordinator

import (
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// listen takes the signs of life that brokers have given.
func (t *groups) listen(now time.Time) {
	t.mu.Lock()
	signs := t.signs
	t.signs = map[int32]time.Time{}
	t.mu.Unlock()
	for broker, at := range signs {
		t.hear(broker, at)
	}
	t.tick(now)
}

// hear notes that a broker was there at a time. If it was silent for longer than it is between
// two heartbeats, no time has passed meanwhile for the members of its groups: they
// could not be heard either. What was due and waited for a sign of it ends now.
func (t *groups) hear(broker int32, at time.Time) {
	before, known := t.heard[broker]
	if known && !before.Before(at) {
		return
	}
	t.heard[broker] = at
	if known && at.Sub(before) > silentHeartbeats*t.a.n.cfg.Broker.HeartbeatInterval {
		t.thaw(broker, before, at)
	}
	for m := range t.late {
		if leader, _ := t.broker(m.id); leader == broker {
			t.decided(m, m.group.Tick(at), at)
		}
	}
}

// silentHeartbeats is after how many intervals without a heartbeat a broker counts as silent.
const silentHeartbeats = 3

// thaw takes the time of a broker's silence from its groups.
func (t *groups) thaw(broker int32, since, now time.Time) {
	for _, m := range t.machines {
		if leader, _ := t.broker(m.id); leader == broker {
			m.group.Freeze(since)
			t.decided(m, m.group.Thaw(now), now)
		}
	}
}

// follow tells machines that their group has another broker.
func (t *groups) follow(im *metadata.Image, now time.Time) {
	topic := im.TopicByName(metadata.OffsetsTopic)
	if topic == t.topic {
		return
	}
	before := t.topic
	t.topic = topic
	for _, m := range t.machines {
		if !sameLeadership(before, topic, m.id) {
			t.decided(m, m.group.Moved(now), now)
		}
	}
	for _, b := range im.Brokers() {
		if _, known := t.heard[b.ID]; !known {
			t.heard[b.ID] = now
		}
	}
}

// sameLeadership reports whether a group has the same broker in both, in the same epoch.
func sameLeadership(a, b *metadata.Topic, group string) bool {
	if a == nil || b == nil || len(a.Partitions) != len(b.Partitions) {
		return false
	}
	i := metadata.GroupPartition(group, len(a.Partitions))
	return a.Partitions[i].Leader == b.Partitions[i].Leader && a.Partitions[i].LeaderEpoch == b.Partitions[i].LeaderEpoch
}
