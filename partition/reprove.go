package partition

import (
	"errors"
	"slices"
	"syscall"

	"github.com/brokersim/brokersim/internal/vfs"
)

// disprove removes, durably, the snapshots before a segment is replaced that they speak of.
// So only damage makes a segment differ from what a snapshot says, and in a log with gaps
// nothing else would show it. The writer's slot is held.
func (c *compaction) disprove() error {
	l := c.log
	for _, at := range slices.Backward(l.snapshots) {
		if at > l.active().base {
			continue
		}
		s, ok, err := l.readSnapshot(at)
		if err != nil {
			return l.fail("read a snapshot", err)
		}
		if ok && s.proof {
			c.proof, c.proven = s, at
			break
		}
	}
	if len(l.snapshots) == 0 {
		return nil
	}
	if err := l.removeSnapshots(0); err != nil {
		return l.fail("remove a snapshot", err)
	}
	return nil
}

// proveAnew puts a snapshot where the newest was, of the segments that are there now. If
// the log was cut below it, or the disk is full, the next roll will write one.
func (c *compaction) proveAnew() error {
	l := c.log
	defer l.hold()()
	if c.proven == 0 || l.usable() != nil || l.distrusted || l.cuts.Load() != c.cuts || len(l.snapshots) > 0 {
		return nil
	}
	c.proof.seals = nil
	for _, s := range *l.segments.Load() {
		if s.base >= c.proven || s.size.Load() == 0 {
			continue
		}
		if _, err := s.seal(true); err != nil {
			return l.fail("sync a segment", err)
		}
		c.proof.seals = append(c.proof.seals, *s.sealed)
	}
	err := vfs.WriteFileSynced(l.fs, segmentName(l.dir, c.proven, snapshotSuffix), encodeSnapshot(c.proof))
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return nil
	case err != nil:
		return l.fail("write a snapshot", err)
	}
	l.snapshots = []int64{c.proven}
	l.recoveryPoint.Store(c.proven)
	return nil
}
