package partition

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"syscall"

	"github.com/brokersim/brokersim/internal/vfs"
)

// Recovery says what Open found.
type Recovery struct {
	LogStartOffset, LogEndOffset int64
	// TornBytes is how much was cut off the end: an append that a crash left
	// unfinished. It was never acknowledged, if the crash was the process's alone.
	TornBytes int64
	// Garbled is true if what was cut off began with a batch that is all there and wrong. A
	// power loss explains that, an append that its process left unfinished does not.
	Garbled bool
	// Missing is how many offsets are missing at the front of the log, by its checkpoint
	// of the epochs: segments that nobody has removed on purpose.
	Missing int64
	// Corrupt is not empty if the log was damaged in a way that no unfinished append
	// explains: something valid lies behind the damage, a file is missing, or the
	// log ends where it once was durable further on. The log ends before the damage;
	// the rest, committed records perhaps, is gone from here. There is at most one.
	Corrupt []*CorruptError
}

// A recovery makes a log's state out of its files. Below the recovery point, the
// offset of the newest snapshot that proves something, it only looks whether the
// segments are what the snapshot says; above, it reads and checks every batch. If
// anything below is not as it should be, it begins again and believes no snapshot.
type recovery struct {
	log    *Log
	gaps   bool // offsets may be missing between batches
	stream stream

	header [HeaderSize]byte // scratch

	point  int64       // recovery point; 0: everything is read
	proof  snapshot    // the one at point
	sealed int         // segments of the proof that were found, up to now
	hole   int64       // base of the first that is not what the proof says; noOffset: none
	kept   epochStarts // by their checkpoint
	rotten rotten      // where the log ends, since what follows is not what was written

	// The newest snapshot that proves nothing, as Kafka writes them, and its offset.
	kafka   map[int64]*producer
	kafkaAt int64

	next     int64 // offset that the next batch must have
	epochs   epochStarts
	segments []*segment
	found    Recovery
}

// errDisproved ends a recovery that a snapshot has misled, or that the damage in
// the log is worse than it can tell. Nothing has been changed.
var errDisproved = errors.New("the log is not what its snapshot says")

// recover reads the log from its files, cuts off what cannot be kept and publishes
// the rest.
func (l *Log) recover() (Recovery, error) {
	files, err := l.listFiles()
	if err != nil {
		return Recovery{}, err
	}
	l.snapshots = files.snapshots
	r := &recovery{log: l, gaps: l.gaps.Load(), kept: l.keptEpochs(), hole: noOffset}
	defer func() { l.segments.Store(&r.segments) }()
	if err := r.choose(files.segments); err != nil {
		return Recovery{}, l.storage("read a snapshot", err)
	}
	claimed, missing := r.point, r.missing(files.segments)
	for err = r.run(files.segments); errors.Is(err, errDisproved) || errors.Is(err, errRotten); err = r.run(files.segments) {
		l.segments.Store(&r.segments)
		l.closeSegments()
		l.producers = producers{}
		r = &recovery{log: l, gaps: r.gaps, kept: r.kept, hole: r.hole, rotten: r.rotten, stream: r.stream, kafka: r.kafka, kafkaAt: r.kafkaAt}
		if !errors.Is(err, errRotten) {
			continue
		}
		if err := r.choose(files.segments); err != nil {
			return Recovery{}, l.storage("read a snapshot", err)
		}
	}
	if err == nil {
		err = r.finish(claimed)
	}
	if err != nil {
		return Recovery{}, l.storage("recover", err)
	}
	r.found.Missing = missing
	return r.found, l.restoreEpochs(r.epochs, l.ownGaps || r.point > 0)
}

// run takes the segments into the log as far as they are good.
func (r *recovery) run(bases []int64) error {
	for i, base := range bases {
		intact, err := r.open(base, bases[i+1:])
		if err != nil {
			return err
		}
		if !intact {
			if err := r.drop(bases[len(r.segments):]); err != nil {
				return err
			}
			break
		}
	}
	if r.next < r.point {
		return errDisproved
	}
	return r.learnEarlyEpochs()
}

// open takes one segment into the log, as far as it is good. intact is false if the
// log ends here whatever follows.
func (r *recovery) open(base int64, following []int64) (intact bool, err error) {
	l := r.log
	if len(r.segments) == 0 {
		r.next = base
	}
	why := ""
	switch {
	case base < r.next:
		why = "it begins below the end of the segment before"
	case base > r.next && !r.gaps, r.point == 0 && r.hole != noOffset && base > r.hole:
		why = "the records before it are missing"
	}
	if why != "" {
		r.corrupt(segmentName(l.dir, base, logSuffix), 0, why)
		return false, r.doubt()
	}
	r.next = base
	s, err := openSegment(l.fs, l.dir, base)
	if err != nil {
		return false, err
	}
	r.segments = append(r.segments, s)
	size := s.size.Load()
	if err := s.milestones.open(l.fs, segmentName(l.dir, base, milestoneSuffix), size); err != nil {
		return false, err
	}
	s.milestones.ahead.Store(r.gaps) // nobody knows what of it was synced
	from, known, err := r.trust(s)
	if err != nil {
		return false, err
	}
	good, why, err := r.walk(s, from, size, known)
	if err != nil {
		return false, err
	}
	s.size.Store(milestone{uint32(good), s.milestones.sum})
	if good == size {
		return true, s.cutMilestones(s.size.end())
	}
	if err := r.doubt(); err != nil {
		return false, err
	}
	follows, err := r.behind(s, good, size, following, why)
	if err != nil {
		return false, err
	}
	if follows {
		r.corrupt(s.name, good, why)
	} else {
		r.found.TornBytes += size - good
		if r.found.Garbled, err = r.garbled(s, good, size); err != nil {
			return false, err
		}
		r.found.Garbled = r.found.Garbled && why != unfinished
	}
	return false, r.cut(s, good)
}

// behind reports whether what follows the good batches shows that the log is damaged
// there. What nothing vouches for was never synced, so only a later segment shows that.
func (r *recovery) behind(s *segment, good, size int64, following []int64, why string) (bool, error) {
	if why == unvouched || why == unfinished {
		return len(following) > 0, nil
	}
	return r.validBehind(s, good, size, following)
}

// doubt is asked when something is wrong at the offset `next`.
func (r *recovery) doubt() error {
	if r.next < r.point {
		return errDisproved
	}
	return nil
}

// missing counts the offsets that the log lacks at the front. What removes segments there
// first says in the checkpoint of the epochs where the log is to start.
func (r *recovery) missing(bases []int64) int64 {
	if len(bases) == 0 || len(r.kept) == 0 {
		return 0
	}
	return max(0, bases[0]-r.kept[0].Offset)
}

// keptEpochs is what the checkpoint of the epochs says; nothing if it is not good.
func (l *Log) keptEpochs() epochStarts {
	b, err := vfs.ReadFile(l.fs, path.Join(l.dir, epochFile))
	if err != nil {
		return nil
	}
	kept, _ := decodeEpochs(b)
	return kept
}

// garbled reports whether what follows the good batches is wrong rather than short.
func (r *recovery) garbled(s *segment, good, size int64) (bool, error) {
	if size-good < HeaderSize {
		return false, nil
	}
	r.stream.begin(s)
	b, err := r.stream.window(good, HeaderSize, size)
	if err != nil {
		return false, err
	}
	h := Batch(b)
	return h.headerFault() != "" || h.Size() <= size-good, nil
}

// corrupt reports damage; there is only ever one, since the log ends there.
func (r *recovery) corrupt(file string, position int64, why string) {
	r.found.Corrupt = []*CorruptError{{File: file, Offset: position, Why: why}}
}

// cut shortens the last segment to what is good, durably: what is cut off must not
// come back between records that are appended later.
func (r *recovery) cut(s *segment, good int64) error {
	if err := s.file.Truncate(good); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return s.cutMilestones(s.size.end())
}

// drop removes segments that lie behind the end, the newest first.
func (r *recovery) drop(bases []int64) error {
	for _, base := range slices.Backward(bases) {
		s := &segment{base: base}
		if err := s.remove(r.log.fs, r.log.dir); err != nil {
			return err
		}
	}
	return r.log.fs.SyncDir(r.log.dir)
}

// finish publishes what was found. claimed is the offset up to which a snapshot
// says that the log was durable.
func (r *recovery) finish(claimed int64) error {
	l := r.log
	for _, s := range r.segments[:max(0, len(r.segments)-1)] {
		s.times.mark()
		if err := s.flushIndexes(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			return err // with a full disk, the indexes are only in memory
		}
	}
	for _, s := range r.segments {
		if s.milestones.vouches && !s.milestones.owed {
			continue
		}
		s.milestones.mark(s.size.Load())
		if err := s.saveMilestones(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
	}
	if err := r.settle(claimed); err != nil {
		return err
	}
	if len(r.segments) == 0 {
		s, err := createSegment(l.fs, l.dir, 0)
		if err != nil {
			return err
		}
		r.segments = append(r.segments, s)
	}
	l.start.Store(r.segments[0].base)
	l.end.Store(r.next)
	r.found.LogStartOffset, r.found.LogEndOffset = l.start.Load(), l.end.Load()
	return nil
}

// settle brings snapshots and producers in line with the end that was found.
func (r *recovery) settle(claimed int64) error {
	l := r.log
	if claimed > r.next && len(r.found.Corrupt) == 0 {
		file, at := segmentName(l.dir, claimed, snapshotSuffix), int64(0)
		if n := len(r.segments); n > 0 {
			file, at = r.segments[n-1].name, r.segments[n-1].size.Load()
		}
		r.found.TornBytes = 0
		r.corrupt(file, at, fmt.Sprintf("the log ends at offset %d, and was durable up to %d", r.next, claimed))
	}
	if r.point == 0 && r.kafkaAt <= r.next {
		l.producers.adopt(r.kafka)
	}
	l.recoveryPoint.Store(r.point)
	from := r.next + 1
	if claimed > r.point {
		from = 0 // none that agrees with it is to be believed
	}
	if n := len(l.snapshots); n == 0 || l.snapshots[n-1] < from {
		return nil
	}
	return l.removeSnapshots(from)
}
