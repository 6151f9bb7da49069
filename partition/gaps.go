package partition

import (
	"path"

	"github.com/brokersim/brokersim/internal/vfs"
)

// gapFile stands beside a log in which offsets are missing, because a compaction
// left records out. In every other log a missing offset is damage. The file is
// ours and not Kafka's, which cannot tell the two apart; whoever opens a log need
// not know what its topic is or once was configured to be.
const gapFile = "offset-gaps"

// ownGaps is what is in it if nobody else has compacted the log: its batches tell where
// each epoch began. Beside a log that Kafka has compacted people put what they like.
const ownGaps = "version: 1\n"

// readGaps finds out whether offsets may be missing.
func (l *Log) readGaps() error {
	b, err := readFile(l.fs, path.Join(l.dir, gapFile))
	if err != nil {
		return l.storage("read "+gapFile, err)
	}
	l.gaps.Store(b != nil)
	l.ownGaps = string(b) == ownGaps
	return nil
}

// allowGaps makes it known, durably, that offsets will be missing from now on. The
// slot is held.
func (l *Log) allowGaps() error {
	if err := l.noteGaps(); err != nil {
		return l.fail("write "+gapFile, err)
	}
	return nil
}

func (l *Log) noteGaps() error {
	if l.gaps.Load() {
		return nil
	}
	if err := vfs.WriteFileSynced(l.fs, path.Join(l.dir, gapFile), []byte(ownGaps)); err != nil {
		return err
	}
	l.gaps.Store(true)
	l.active().milestones.ahead.Store(true)
	return nil
}
