package replication

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/datadriven"

	"github.com/brokersim/brokersim/metadata"
)

// A deletion is a DeleteRecords that waits for the low watermark.
type deletion struct {
	name    string
	replica *Replica
	done    Deleted
}

// delete has a broker delete records, and its disk remember it before anything else.
func (s *scenario) delete(d *datadriven.TestData) []string {
	n := s.broker(d)
	done, err := n.replica.DeleteRecords(context.Background(), int64(s.number(d.CmdArgs[2].Key)))
	if err != nil {
		return []string{name(err)}
	}
	if !d.HasArg("keep") {
		s.must(n.Keep())
	}
	s.w.deletes = append(s.w.deletes, &deletion{d.CmdArgs[1].Key, n.replica, done})
	return []string{fmt.Sprintf("below %d; waits", done.Before)}
}

// resolveDeletions looks which of them have an answer by now, and counts those
// that succeeded.
func (w *world) resolveDeletions() (succeeded int) {
	ended, end := context.WithCancel(context.Background())
	end()
	waiting := w.deletes[:0]
	for _, d := range w.deletes {
		low, err := d.replica.AwaitLowWatermark(ended, d.done)
		switch {
		case errors.Is(err, metadata.ErrRequestTimedOut):
			waiting = append(waiting, d)
		case err != nil:
			w.say("%s: %s", d.name, name(err))
		default:
			w.say("%s: deleted, low watermark %d", d.name, low)
			w.god.deleted = max(w.god.deleted, d.done.Before)
			succeeded++
		}
	}
	w.deletes = waiting
	return succeeded
}

// Keep implements StartKeeper.
func (n *node) Keep() error {
	n.logStart = n.log.LogStartOffset()
	n.replica.StartKept(n.logStart)
	return nil
}

// Lower implements StartKeeper.
func (n *node) Lower(r *Replica, offset int64, change func() error) error {
	n.logStart = min(n.logStart, offset)
	if err := change(); err != nil {
		return err
	}
	r.StartKept(offset)
	return nil
}

var _ StartKeeper = (*node)(nil)

// delete has somebody delete records at a broker that believes to lead, mostly. Its
// disk may be too slow to remember it before a crash; then nobody is answered.
func (s *simulation) delete(n *node) {
	for range 3 {
		if n.up && n.replica.Status().Role == Leading {
			break
		}
		n = s.nodes[s.rng.IntN(len(s.nodes))]
	}
	if !n.up {
		return
	}
	offset := n.log.LogStartOffset() + s.rng.Int64N(4) - 1
	done, err := n.replica.DeleteRecords(context.Background(), offset)
	if err == nil {
		s.deletes = append(s.deletes, &deletion{fmt.Sprint("delete below ", done.Before), n.replica, done})
		if s.rng.IntN(3) > 0 {
			s.must(n.Keep())
		}
	}
	s.observe("delete below %d at %d: %v", offset, n.id, err)
}
