package replication

import "slices"

// LowWatermark is the first offset that some replica that counts still has: the
// smallest log start that a disk remembers, own of this broker's. It is -1 while
// one of them has not fetched in this leader epoch.
func (l *Leader) LowWatermark(own int64, at Moment) int64 {
	low := own
	for i := range l.followers {
		if f := &l.followers[i]; f.logStart < low && l.counts(f, at.Brokers) {
			low = f.logStart
		}
	}
	return low
}

// counts reports whether the low watermark waits for a follower. As in Kafka it
// does if the broker is alive. Here it also does for who may be elected without
// having fetched again: the maximal ISR, and the ELR, whose members may be dead.
// One of them, elected, would bring back what it has not deleted; everybody else
// must catch up first, and does not join the ISR before it has (mayJoin).
func (l *Leader) counts(f *follower, brokers Brokers) bool {
	b, known := brokers.Broker(f.broker)
	return known && !b.Fenced || l.inMaximalISR(f.broker) || slices.Contains(l.state.ELR, f.broker)
}
