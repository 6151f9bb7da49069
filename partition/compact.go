package partition

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// ErrGivenUp is how a compaction ends during which the log was cut, reset or
// closed, or lost old segments. What it had not swapped in yet is dropped, nothing
// is wrong, and it may be tried again.
var ErrGivenUp = errors.New("the log has changed during its compaction")

// Compacted is what a compaction has done. Records and bytes are those of the
// segments that it wrote anew; one in which nothing is obsolete stays as it is.
type Compacted struct {
	From, To                     int64 // the stretch that was dirty and is not any more; To is the next FirstDirty
	RecordsBefore, RecordsAfter  int64
	BytesBefore, BytesAfter      int64
	SegmentsBefore, SegmentsLeft int
}

// A Cleaner is what compacting takes: memory that is used again from log to log. It
// has no goroutine and is for one at a time.
type Cleaner struct {
	keys   *keyMap
	in     []byte // what is read of a segment
	out    []byte // what is written to the one in its place
	filter filter
}

// NewCleaner returns a cleaner that remembers keys in so many bytes at most: 24 for
// each, and a quarter of them stay unused. They are taken when they are needed.
func NewCleaner(mapBytes int64) *Cleaner { return &Cleaner{keys: newKeyMap(mapBytes)} }

const (
	ioBytes   = 1 << 20 // what is read, and written, at once
	keepBytes = 4 << 20 // a larger buffer is given back after use
)

// cleaning is the turn of the one compaction that a log takes at a time.
type cleaning struct {
	slot    chan struct{}
	closing atomic.Bool
}

// end keeps compactions away for good, and waits until the one under way has given up.
func (c *cleaning) end() {
	c.closing.Store(true)
	c.slot <- struct{}{}
	<-c.slot
}

// Compact writes the segments below the high watermark anew, but for the active one,
// without the records that a later one with the same key makes obsolete. It reads
// the keys from FirstDirty on, as many as the cleaner can remember, and drops what
// they make obsolete in the whole log. Offsets stay as they are. Everybody else may
// use the log meanwhile.
//
// With an error To stays where it was, though some segments may be new. Errors are
// ErrGivenUp, which wraps Check's; a CorruptError if a segment is damaged; and
// ErrStorage. If the disk was full (syscall.ENOSPC) the log goes on as it is; after
// any other failure of the disk it takes no more appends.
func (c *Cleaner) Compact(l *Log, now time.Time, how Compaction) (Compacted, error) {
	l.cleaning.slot <- struct{}{}
	defer func() { <-l.cleaning.slot }()
	defer c.rest()
	job, err := c.begin(l, now, how)
	if err != nil || job.done.From == job.end {
		return job.done, err
	}
	if err := errors.Join(job.run(), job.proveAnew()); err != nil {
		return job.done, job.explain(err)
	}
	job.done.To = job.mapped
	return job.done, nil
}

// A compaction is one run over one log.
type compaction struct {
	*Cleaner
	log      *Log
	check    func() error
	segments []*segment // that may be written anew
	end      int64      // where they end
	mapped   int64      // up to where keys are known
	cuts     uint64     // what Log.cuts is unless somebody else changes the log
	proof    snapshot   // what was proven before the first swap
	proven   int64      // up to this offset; 0: nothing was, or it still is
	done     Compacted
}

func (c *Cleaner) begin(l *Log, now time.Time, how Compaction) (*compaction, error) {
	defer l.hold()()
	if l.cleaning.closing.Load() {
		return &compaction{}, fmt.Errorf("%s: compact: %w", l.dir, ErrGivenUp)
	}
	if err := l.usable(); err != nil {
		return &compaction{}, err
	}
	d, segments := l.dirtiness(now, how)
	c.keys.clear()
	c.filter = filter{
		keys:    c.keys,
		now:     now.UnixMilli(),
		horizon: addMillis(now.UnixMilli(), how.DeleteRetention.Milliseconds()),
		epoch:   -1,
		stay:    l.producers.lastBatches(how.Committed),
		unpack:  c.filter.unpack,
		records: c.filter.records,
	}
	end := max(d.FirstDirty, d.End)
	return &compaction{
		Cleaner: c, log: l, check: how.Check, segments: segments, end: end, cuts: l.cuts.Load(),
		done: Compacted{From: d.FirstDirty, To: d.FirstDirty},
	}, nil
}

// rest gives large buffers back.
func (c *Cleaner) rest() {
	c.keys.clear()
	c.filter.stay = nil
	for _, b := range []*[]byte{&c.in, &c.out, &c.filter.records} {
		if cap(*b) > keepBytes {
			*b = nil
		}
	}
}

func (c *compaction) run() (err error) {
	if c.mapped, err = c.mapKeys(); err != nil {
		return err
	}
	c.filter.mapped = c.mapped
	cfg := c.log.cfg.Load()
	for _, g := range grouped(c.segments[:countBelow(c.segments, c.mapped)], c.end, cfg) {
		if same, err := c.unchanged(g); err != nil {
			return err
		} else if same {
			continue
		}
		fresh, err := c.rewrite(g, cfg)
		if err != nil {
			return err
		}
		if err := c.swap(fresh, g); err != nil {
			return err
		}
		c.done.SegmentsBefore += len(g)
		c.done.SegmentsLeft++
	}
	return nil
}

// mapKeys puts the keys of the dirty records into the map, and returns the offset up
// to which there was room.
func (c *compaction) mapKeys() (mapped int64, err error) {
	mapped = c.end
	dirty := c.segments[max(0, countBelow(c.segments, c.done.From+1)-1):]
	for _, s := range dirty {
		sc, err := s.scanFrom(c.done.From, make([]byte, locateWindow))
		if err != nil {
			return 0, err
		}
		err = c.batches(s, sc.pos, func(b Batch, at int64) (err error) {
			if mapped == c.end {
				mapped, err = c.filter.mapBatch(b, c.done.From, c.end)
			}
			return s.located(err, at)
		})
		if err != nil || mapped < c.end {
			return mapped, err
		}
	}
	return mapped, nil
}

// goOn says why the work must end, if it must.
func (c *compaction) goOn() error {
	if c.changed() {
		return ErrGivenUp
	}
	if c.check != nil {
		if err := c.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrGivenUp, err)
		}
	}
	return nil
}

// changed reports whether somebody else has cut or closed the log.
func (c *compaction) changed() bool {
	return c.log.cleaning.closing.Load() || c.log.cuts.Load() != c.cuts
}

// explain says what an error means. What is read while a log is being cut may look
// like anything.
func (c *compaction) explain(err error) error {
	l := c.log
	if c.changed() {
		err = ErrGivenUp
	}
	corrupt, damaged := errors.AsType[*CorruptError](err)
	switch {
	case damaged:
		return corrupt
	case errors.Is(err, ErrGivenUp), errors.Is(err, metadata.ErrStorage):
		return fmt.Errorf("%s: compact: %w", l.dir, err)
	case errors.Is(err, syscall.ENOSPC):
		return l.storage("compact", err)
	}
	defer l.hold()()
	return l.fail("compact", err)
}
