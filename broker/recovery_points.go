package broker

import (
	"time"
)

// recoveryPointsFile says up to which offset each log was durable, in the same text
// as the high watermarks' file and as Kafka has it. It is for Kafka and for whoever
// looks: our own recovery goes by the snapshots beside each log, which cannot be
// ahead of it.
const recoveryPointsFile = "recovery-point-offset-checkpoint"

// How often it is written: Kafka's log.flush.offset.checkpoint.interval.ms.
const recoveryPointsEvery = time.Minute

// recoveryPoints writes that file now and then. It is for one goroutine at a time.
type recoveryPoints struct {
	keptCheckpoint
	next time.Time
}

// tick writes the file if it is time.
func (r *recoveryPoints) tick(now time.Time, points func() offsetCheckpoint) error {
	if now.Before(r.next) {
		return nil
	}
	r.next = now.Add(recoveryPointsEvery)
	return r.replace(points())
}

// recoveryPoints is what the file should say of the replicas.
func (t *replicaTable) recoveryPoints() offsetCheckpoint {
	c := offsetCheckpoint{}
	for h := range t.each() {
		c[topicPartition{h.replica.Topic(), h.replica.ID().Partition}] = h.log.RecoveryPoint()
	}
	return c
}
