package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

// The files of a segment are named after the offset that it begins at.
const (
	logSuffix   = ".log"
	indexSuffix = ".index"
	timeSuffix  = ".timeindex"
)

// suffixes are all files of a segment, the batches first: an index without them is
// swept up by recovery.
var suffixes = []string{logSuffix, indexSuffix, timeSuffix, milestoneSuffix}

// A segment is a stretch of a log: a file of batches and the indexes into it. One
// writer appends; anybody reads below size.
type segment struct {
	disk  vfs.FS
	dir   string
	base  int64  // no record in it is below
	name  string // of the file with the batches
	file  vfs.File
	size  extent // bytes that may be read
	index index
	times timeIndex

	milestones milestones

	// The writer's.
	seen   seen  // its age
	sealed *seal // what was durable the last time that a snapshot was written; nil: not known
}

func segmentName(dir string, base int64, suffix string) string {
	return path.Join(dir, fmt.Sprintf("%020d%s", base, suffix))
}

// segmentBase returns the offset in the name of a segment's file.
func segmentBase(name, suffix string) (base int64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	base, err := strconv.ParseInt(digits, 10, 64)
	return base, err == nil && base >= 0
}

// createSegment makes the files of an empty segment.
func createSegment(disk vfs.FS, dir string, base int64) (*segment, error) {
	s := newSegment(disk, dir, base)
	var err error
	if s.file, err = disk.Create(s.name); err != nil {
		return nil, err
	}
	if err = s.createIndexes(); err == nil {
		err = s.milestones.create(disk, segmentName(dir, base, milestoneSuffix))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func newSegment(disk vfs.FS, dir string, base int64) *segment {
	s := &segment{disk: disk, dir: dir, base: base, name: segmentName(dir, base, logSuffix)}
	s.times.newest.Store(noTimestamp)
	s.seen.first = noTimestamp
	s.milestones.begin(base)
	s.size.Store(firstMilestone(base))
	return s
}

// createIndexes makes the files of the indexes that are not open.
func (s *segment) createIndexes() error {
	if err := s.index.create(s.disk, segmentName(s.dir, s.base, indexSuffix)); err != nil {
		return err
	}
	return s.times.create(s.disk, segmentName(s.dir, s.base, timeSuffix))
}

// openSegment opens the batches of a segment that is there. Its indexes are
// recovery's to load or make anew.
func openSegment(disk vfs.FS, dir string, base int64) (*segment, error) {
	s := newSegment(disk, dir, base)
	var err error
	if s.file, err = disk.Open(s.name); err != nil {
		return nil, err
	}
	size, err := s.file.Size()
	if err != nil {
		s.close()
		return nil, err
	}
	s.size.Store(milestone{position: uint32(min(size, math.MaxUint32))}) // recovery knows the sum when it has been through
	return s, nil
}

// loadIndexes opens the files of the indexes and takes the entries from them that
// known says they begin with. If they do not, or it says nothing, the indexes are
// emptied and ok is false: a walk over the segment fills them.
func (s *segment) loadIndexes(known seal) (ok bool, err error) {
	length, err := s.index.open(s.disk, segmentName(s.dir, s.base, indexSuffix))
	if err != nil {
		return false, err
	}
	timesLength, err := s.times.open(s.disk, segmentName(s.dir, s.base, timeSuffix))
	if err != nil {
		return false, err
	}
	if known.size > 0 {
		ok, err = s.index.read(length, known.index, &indexFormat)
		if ok && err == nil {
			ok, err = s.times.read(timesLength, known.times, &timeFormat)
		}
		if err != nil {
			return false, err
		}
	}
	if !ok {
		s.index.truncate(0)
		s.times.keep(0)
	}
	if err := s.index.trim(length, &indexFormat); err != nil {
		return false, err
	}
	return ok, s.times.trim(timesLength, &timeFormat)
}

// close lets go of the files. What fails is of no consequence: all that was to be
// durable has been synced.
func (s *segment) close() {
	for _, f := range []vfs.File{s.file, s.index.file, s.times.file, s.milestones.file} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// remove closes a segment and removes its files.
func (s *segment) remove(disk vfs.FS, dir string) error {
	s.close()
	for _, suffix := range suffixes {
		if err := disk.Remove(segmentName(dir, s.base, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// note takes account of a batch at position in the indexes.
func (s *segment) note(b Batch, position int64, interval int) {
	offset := b.LastOffset() - s.base
	if position == 0 {
		s.seen.first = b.MaxTimestamp()
	}
	s.milestones.note(b, position, interval)
	s.times.note(offset, b.newest())
	if s.index.note(offset, position, int(b.Size()), interval) {
		s.times.mark()
	}
}

// flushIndexes brings the files of the indexes up to date.
func (s *segment) flushIndexes() error {
	if err := s.createIndexes(); err != nil {
		return err
	}
	if err := s.index.flush(); err != nil {
		return err
	}
	if err := s.times.flush(); err != nil {
		return err
	}
	return s.milestones.flush()
}

// syncIndexes makes them durable, too.
func (s *segment) syncIndexes() error {
	if err := s.flushIndexes(); err != nil {
		return err
	}
	if err := s.index.file.Sync(); err != nil {
		return err
	}
	if err := s.times.file.Sync(); err != nil {
		return err
	}
	return s.saveMilestones()
}

// saveMilestones makes the file of the milestones vouch for all there is, durably.
func (s *segment) saveMilestones() error {
	return s.milestones.save(s.disk, segmentName(s.dir, s.base, milestoneSuffix))
}

// cutMilestones makes them forget, durably, what the batches' file has lost: before
// anything is written in its place, and not before it is lost for good.
func (s *segment) cutMilestones(end milestone) error {
	if !s.milestones.cut(end) || !s.milestones.vouches {
		return nil
	}
	return s.saveMilestones()
}

// fits reports whether a batch may be appended behind what is written and pending
// bytes that are about to be, if the segment is so old as it is now; if not, a new
// segment begins with it. An empty segment takes a batch of any size.
func (s *segment) fits(b Batch, written, pending int64, cfg *Config, now time.Time) bool {
	if b.LastOffset()-s.base > math.MaxInt32 {
		return false // its offset would not fit the index
	}
	size := written + pending
	if size == 0 {
		return true
	}
	if written > 0 && s.overdue(b.MaxTimestamp(), now, cfg) {
		return false
	}
	return size+b.Size() <= int64(cfg.SegmentBytes) && s.index.n.Load()*indexEntrySize < int64(cfg.SegmentIndexBytes)
}
