package broker

import (
	"maps"

	"github.com/brokersim/brokersim/internal/vfs"
)

// cleanedFile says how far each log is compacted, in the text of Kafka's
// cleaner-offset-checkpoint. An entry that is too low costs work. One that is too
// high would have keys overlooked, and a deleted one come back; so an entry is
// lowered, durably, before anything is appended where the log was cut, and none
// outlives its log.
const cleanedFile = "cleaner-offset-checkpoint"

// cleaned keeps that file. Its methods are safe for concurrent use.
type cleaned struct {
	slot chan struct{} // guards what follows, and spans disk calls
	keptCheckpoint
	turns map[topicPartition]int // counts what happened to a log that a compaction must know of
}

func newCleaned(disk vfs.FS) *cleaned {
	return &cleaned{slot: make(chan struct{}, 1), keptCheckpoint: newKeptCheckpoint(disk, cleanedFile), turns: map[topicPartition]int{}}
}

// of returns how far a log is compacted, and the turn to say so when it is further.
func (c *cleaned) of(tp topicPartition) (to int64, turn int) {
	c.slot <- struct{}{}
	defer func() { <-c.slot }()
	return c.written[tp], c.turns[tp]
}

// advance says that a log is compacted further, unless it was cut or removed since
// the turn was given.
func (c *cleaned) advance(tp topicPartition, turn int, to int64) error {
	c.slot <- struct{}{}
	defer func() { <-c.slot }()
	if c.turns[tp] != turn {
		return nil
	}
	now := maps.Clone(c.written)
	now[tp] = to
	return c.replace(now)
}

// cut says that a log ends at to now, or begins anew there.
func (c *cleaned) cut(tp topicPartition, to int64) error {
	c.slot <- struct{}{}
	defer func() { <-c.slot }()
	c.turns[tp]++
	if c.written[tp] <= to {
		return nil
	}
	now := maps.Clone(c.written)
	now[tp] = to
	return c.replace(now)
}

// forget removes the entry of a log that is no more.
func (c *cleaned) forget(tp topicPartition) error {
	c.slot <- struct{}{}
	defer func() { <-c.slot }()
	c.turns[tp]++
	if _, there := c.written[tp]; !there {
		return nil
	}
	now := maps.Clone(c.written)
	delete(now, tp)
	return c.replace(now)
}

// restoreCleaned takes over what the file said, if it could be read, as far as it can
// be true of the logs that were found.
func (t *replicaTable) restoreCleaned(was *offsetCheckpoint) error {
	if was == nil {
		return nil
	}
	now := offsetCheckpoint{}
	for tp, to := range *was {
		if found := t.found[tp.String()]; found != nil {
			now[tp] = min(to, found.log.LogEndOffset())
		}
	}
	t.cleaned.written = *was
	return t.cleaned.replace(now)
}
