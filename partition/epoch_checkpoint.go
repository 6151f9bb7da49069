package partition

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"

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
	return e, len(e) == count && lines.Err() == nil
}

// restoreEpochs publishes the epochs that recovery found in the log itself, and
// replaces a checkpoint that is missing, torn or stale. There is no case in which
// the checkpoint knows better: it is kept for Kafka's tools, and for the day when
// a start need not read the whole log.
func (l *Log) restoreEpochs(found epochStarts) error {
	l.epochs.store(found)
	b, err := vfs.ReadFile(l.fs, path.Join(l.dir, epochFile))
	if err == nil {
		if kept, ok := decodeEpochs(b); ok && string(encodeEpochs(kept)) == string(encodeEpochs(found)) {
			return nil
		}
	} else if len(found) == 0 {
		return nil
	}
	if err := l.writeEpochs(found); err != nil {
		return l.storage("write the leader epochs", err)
	}
	return nil
}
