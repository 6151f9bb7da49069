package partition

// A log may start within a batch: DeleteRecords names any offset, and a batch is
// kept as a whole. A follower that begins at such a start is sent the batch that
// the start lies in, whose first records are below. Its log, of which nothing may be
// read, makes room for it: the first segment begins where the batch does, and the
// log starts where it did. From then on no file of the log tells that start, only
// the broker's checkpoint.

// aligned returns the offset that the first of some fetched batches must have: the
// log's end, or where that batch begins if the end lies within it and everything
// before is deleted. The writer's slot is held.
func (l *Log) aligned(first Batch) (next int64, err error) {
	end := l.tip.newest.next
	within := first.BaseOffset() < end && end < first.NextOffset()
	if !within || l.start.Load() != end {
		return end, nil
	}
	defer l.still()()
	gone := *l.segments.Load()
	l.publish(func() { l.segments.Store(new([]*segment)) })
	if err := l.removeSegments(gone); err != nil {
		return end, err
	}
	s, err := createSegment(l.fs, l.dir, first.BaseOffset())
	if err != nil {
		return end, l.fail("make a segment", err)
	}
	l.segments.Store(&[]*segment{s})
	l.tip.move(end, s.size.end(), s)
	l.newNames.Store(true)
	return first.BaseOffset(), l.syncHeld()
}
