package replication

import (
	"errors"
	"fmt"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// Scrub reads a piece of the log for nobody, from an offset on and below another, as
// far as it fits buf: a start leaves unread what was durable, and a bit that has
// flipped there is to be found before somebody asks for it. It returns where to go on,
// `to` at the end, and how many bytes it has read. Damage is what it is to a reader;
// then, and if the disk fails, there is nothing more to do here.
func (r *Replica) Scrub(buf []byte, from, to int64) (next int64, read int, err error) {
	log, epoch := r.cfg.Log, r.epoch()
	from, to = max(from, log.LogStartOffset()), min(to, log.LogEndOffset())
	if from >= to {
		return to, 0, nil
	}
	b, err := log.Read(buf[:0], from, to, cap(buf), true)
	switch {
	case errors.Is(err, metadata.ErrOffsetOutOfRange):
		return max(from, log.LogStartOffset()), 0, nil // it was cut off or removed just now
	case errors.Is(err, partition.ErrClosed):
		return to, 0, fmt.Errorf("%s: %w", r, err)
	case err != nil:
		return to, 0, r.readFailed(err, epoch)
	}
	next = to
	for batch := range partition.Batches(b) {
		next = batch.NextOffset()
	}
	return next, len(b), nil
}
