package partition

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/brokersim/brokersim/internal/vfs"
)

// epochFile is Kafka's name for the leader epochs' file, in Kafka's format: the
// version, the number of entries, and a line with epoch and offset for each.
const epochFile = "leader-epoch-checkpoint"

// maxEpochFile bounds what is read of one.
const maxEpochFile = 1 << 26

func (l *Log) writeEpochs(e epochStarts) error {
	return vfs.WriteFileSynced(l.fs, path.Join(l.dir, epochFile), encodeEpochs(e))
}

func encodeEpochs(e epochStarts) []byte {
	b := fmt.Appendf(nil, "0\n%d\n", len(e))
	for _, s := range e {
		b = fmt.Appendf(b, "%d %d\n", s.Epoch, s.Offset)
	}
	return b
}

// decodeEpochs reads what encodeEpochs wrote. ok is false for anything else: a
// file that is torn is worth nothing, since the log can tell what was in it.
func decodeEpochs(b []byte) (e epochStarts, ok bool) {
	if len(b) > maxEpochFile || !bytes.HasSuffix(b, []byte("\n")) {
		return nil, false
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	if !lines.Scan() || lines.Text() != "0" || !lines.Scan() {
		return nil, false
	}
	count, err := strconv.Atoi(lines.Text())
	if err != nil {
		return nil, false
	}
	for lines.Scan() {
		epoch, offset, _ := strings.Cut(lines.Text(), " ")
		n, err1 := strconv.ParseInt(epoch, 10, 32)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		s := EpochStart{int32(n), o}
		if err1 != nil || err2 != nil || s.Epoch < 0 || s.Offset < 0 {
			return nil, false
		}
		if i := len(e); i > 0 && (s.Epoch <= e[i-1].Epoch || s.Offset <= e[i-1].Offset) {
			return nil, false
		}
		e = append(e, s)
	}
	if len(e) != count || lines.Err() != nil {
		return nil, false
	}
	return e, true
}

// restoreEpochs publishes the epochs that recovery found in the snapshot and in the
// batches behind it, and replaces a checkpoint that is missing, torn or stale. The
// checkpoint alone knows what a log without records had before retention took them, and
// what others than we have compacted away, unless complete says that nobody else has.
func (l *Log) restoreEpochs(found epochStarts, complete bool) error {
	b, err := readFile(l.fs, path.Join(l.dir, epochFile))
	if err != nil {
		return l.storage("read "+epochFile, err)
	}
	kept, ok := decodeEpochs(b)
	start, end := l.start.Load(), l.end.Load()
	switch {
	case start < end && ok && l.gaps.Load() && !complete:
		found = found.refinedBy(kept).truncateFromEnd(end)
	case start < end:
		found = found.truncateFromEnd(end)
	case ok && start > 0:
		found = kept.truncateFromEnd(start + 1)
	}
	found = found.truncateFromStart(start) // retention may have been at work since the snapshot
	l.epochs.store(found)
	if ok && slices.Equal(kept, found) || b == nil && len(found) == 0 {
		return nil
	}
	if err := l.writeEpochs(found); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return l.storage("write the leader epochs", err)
	}
	return nil
}

// learnEarlyEpochs reads the headers of what lies below the first epoch that the
// snapshot knows: the log start had been moved up behind it.
func (r *recovery) learnEarlyEpochs() error {
	known := r.proof.epochs
	if len(known) == 0 || r.point == 0 {
		return nil
	}
	var early epochStarts
	for _, s := range r.segments {
		sc := s.scan(0, make([]byte, locateWindow))
		for s.base < known[0].Offset && sc.more() {
			b, err := sc.next()
			if err == nil && b.BaseOffset() >= known[0].Offset {
				err = sc.settle()
			} else if err == nil {
				err = sc.pass(b)
			}
			if _, damaged := errors.AsType[*CorruptError](err); damaged {
				return errDisproved
			}
			if err != nil {
				return err
			}
			if b.BaseOffset() >= known[0].Offset {
				break
			}
			if b.LeaderEpoch() < early.latest() || b.LeaderEpoch() > known[0].Epoch {
				return errDisproved
			}
			early = early.assign(b.LeaderEpoch(), b.BaseOffset())
		}
	}
	if len(early) > 0 && early.latest() == r.epochs[0].Epoch {
		r.epochs = r.epochs[1:]
	}
	r.epochs = append(early, r.epochs...)
	return nil
}
