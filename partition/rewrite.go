package partition

import (
	"errors"
	"io/fs"
	"math"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A segment in the making has these behind its files' names: .cleaned until it is
// whole and synced, .swap while it takes the place of those that it was made from.
const (
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
)

// maxRelative is the largest offset that fits an index, from a segment's base.
const maxRelative = math.MaxInt32

// rewrite makes the segment that is to stand for a group, durable but for its names.
// If it fails it leaves nothing behind.
func (c *compaction) rewrite(group []*segment, cfg *Config) (fresh *segment, err error) {
	l := c.log
	fresh = newSegment(l.fs, l.dir, group[0].base)
	defer func() {
		if err != nil {
			fresh.close()
			removeCleaned(l.fs, l.dir, fresh.base)
		}
	}()
	if err := fresh.createCleaned(l.fs, l.dir); err != nil {
		return fresh, err
	}
	c.out = c.out[:0]
	read, kept := c.filter.read, c.filter.kept
	before := int64(0)
	for i, s := range group {
		before += s.size.Load()
		if err := c.refill(fresh, s, onlyEmpty(group[i+1:]), cfg); err != nil {
			return fresh, err
		}
	}
	if err := c.flush(fresh); err != nil {
		return fresh, err
	}
	fresh.times.mark()
	fresh.milestones.mark(fresh.size.Load())
	if err := fresh.flushIndexes(); err != nil {
		return fresh, err
	}
	fresh.milestones.ahead.Store(false)
	for _, f := range []vfs.File{fresh.file, fresh.index.file, fresh.times.file, fresh.milestones.file} {
		if err := f.Sync(); err != nil {
			return fresh, err
		}
	}
	c.done.RecordsBefore += c.filter.read - read
	c.done.RecordsAfter += c.filter.kept - kept
	c.done.BytesBefore += before
	c.done.BytesAfter += fresh.size.Load()
	return fresh, nil
}

// refill writes what remains of s. last says that nothing follows in its group.
func (c *compaction) refill(fresh, s *segment, last bool, cfg *Config) error {
	size := s.size.Load()
	return c.batches(s, 0, func(b Batch, at int64) (err error) {
		filled := len(c.out)
		if c.out, err = c.filter.clean(c.out, b, last && at+int64(len(b)) == size); err != nil {
			return s.located(err, at)
		}
		if len(c.out) > filled {
			fresh.note(Batch(c.out[filled:]), fresh.size.Load()+int64(filled), cfg.IndexIntervalBytes)
		}
		if len(c.out) >= ioBytes {
			return c.flush(fresh)
		}
		return nil
	})
}

// flush writes what was gathered.
func (c *compaction) flush(fresh *segment) error {
	at := fresh.size.Load()
	if len(c.out) > 0 {
		if _, err := fresh.file.WriteAt(c.out, at); err != nil {
			return err
		}
	}
	fresh.size.Store(milestone{uint32(at + int64(len(c.out))), fresh.milestones.sum})
	c.out = c.out[:0]
	return nil
}

// createCleaned makes the files of a segment that is to stand for others.
func (s *segment) createCleaned(disk vfs.FS, dir string) (err error) {
	for _, f := range []struct {
		file   *vfs.File
		suffix string
	}{{&s.file, logSuffix}, {&s.index.file, indexSuffix}, {&s.times.file, timeSuffix}} {
		if *f.file, err = disk.Create(segmentName(dir, s.base, f.suffix) + cleanedSuffix); err != nil {
			return err
		}
	}
	return s.milestones.create(disk, segmentName(dir, s.base, milestoneSuffix)+cleanedSuffix)
}

// removeCleaned removes what became of nothing. What it leaves, the next Open removes.
func removeCleaned(disk vfs.FS, dir string, base int64) {
	for _, suffix := range replaced {
		_ = disk.Remove(segmentName(dir, base, suffix) + cleanedSuffix)
	}
}

// removeThere removes a file that may not be there.
func removeThere(disk vfs.FS, name string) error {
	if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
