package broker

import (
	"fmt"
	"maps"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// logStartsFile holds where each log starts, in the same text as the high
// watermarks' file, for the logs whose start their files do not tell: 0 is left
// out. Here a wrong entry would hide records, so none may outlive its log.
const logStartsFile = "log-start-offset-checkpoint"

// logStarts writes that file. Its methods are safe for concurrent use.
type logStarts struct {
	disk    vfs.FS
	slot    chan struct{} // guards what follows, and spans disk calls
	written offsetCheckpoint
}

func newLogStarts(disk vfs.FS) *logStarts {
	return &logStarts{disk: disk, slot: make(chan struct{}, 1), written: offsetCheckpoint{}}
}

// write brings the file up to what collect returns. Logs that it does not name keep
// their entries: no topic may have claimed them yet.
func (s *logStarts) write(collect func() offsetCheckpoint) error {
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	now := maps.Clone(s.written)
	maps.Copy(now, collect())
	maps.DeleteFunc(now, func(_ topicPartition, start int64) bool { return start == 0 })
	return s.replace(now)
}

// forget removes the entry of a log that is no more, before another one takes its
// name.
func (s *logStarts) forget(tp topicPartition) error {
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	if _, there := s.written[tp]; !there {
		return nil
	}
	rest := maps.Clone(s.written)
	delete(rest, tp)
	return s.replace(rest)
}

func (s *logStarts) replace(now offsetCheckpoint) error {
	if maps.Equal(now, s.written) {
		return nil
	}
	if err := vfs.WriteFileSynced(s.disk, logStartsFile, now.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", logStartsFile, err)
	}
	s.written = now
	return nil
}

// restore makes a log that was found on the disk start where it did. One that a
// power loss has cut off below its start has nothing left that may be read.
func (s *logStarts) restore(tp topicPartition, log *partition.Log) error {
	start := s.written[tp]
	if start > log.LogEndOffset() {
		return log.Reset(start)
	}
	return log.SetLogStart(start)
}

// logStarts is where each replica's log starts.
func (t *replicaTable) logStarts() offsetCheckpoint {
	c := offsetCheckpoint{}
	for h := range t.each() {
		c[topicPartition{h.replica.Topic(), h.replica.ID().Partition}] = h.log.LogStartOffset()
	}
	return c
}

// writeLogStarts writes the checkpoint of the log starts, if it has changed.
func (t *replicaTable) writeLogStarts() error { return t.starts.write(t.logStarts) }
