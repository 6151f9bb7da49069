package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/vfs"
)

// The files of a segment are named after the offset that it begins at.
const (
	logSuffix   = ".log"
	indexSuffix = ".index"
)

// A segment is a stretch of a log: a file of batches and the index into it. One
// writer appends; anybody reads below size.
type segment struct {
	base  int64  // no record in it is below
	name  string // of the file with the batches
	file  vfs.File
	size  atomic.Int64 // bytes that may be read
	index index
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
	s := &segment{base: base, name: segmentName(dir, base, logSuffix)}
	var err error
	if s.file, err = disk.Create(s.name); err != nil {
		return nil, err
	}
	if s.index.file, err = disk.Create(segmentName(dir, base, indexSuffix)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openSegment opens the files of a segment that is there. Its index is made anew,
// by recovery.
func openSegment(disk vfs.FS, dir string, base int64) (*segment, error) {
	s := &segment{base: base, name: segmentName(dir, base, logSuffix)}
	var err error
	if s.file, err = disk.Open(s.name); err != nil {
		return nil, err
	}
	size, err := s.file.Size()
	if err == nil {
		s.index.file, err = disk.Create(segmentName(dir, base, indexSuffix))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.size.Store(size)
	return s, nil
}

// close lets go of the files. What fails is of no consequence: all that was to be
// durable has been synced.
func (s *segment) close() {
	for _, f := range []vfs.File{s.file, s.index.file} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// remove closes a segment and removes its files: the batches first, since an index
// without them is swept up by recovery.
func (s *segment) remove(disk vfs.FS, dir string) error {
	s.close()
	for _, suffix := range []string{logSuffix, indexSuffix} {
		if err := disk.Remove(segmentName(dir, s.base, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fits reports whether a batch may follow pending bytes that are about to be
// appended; if not, a new segment begins with it. An empty segment takes a batch
// of any size.
func (s *segment) fits(b Batch, pending int64, cfg *Config) bool {
	if b.LastOffset()-s.base > math.MaxInt32 {
		return false // its offset would not fit the index
	}
	size := s.size.Load() + pending
	if size == 0 {
		return true
	}
	return size+b.Size() <= int64(cfg.SegmentBytes) && s.index.n.Load()*indexEntrySize < int64(cfg.SegmentIndexBytes)
}
