package broker

import (
	"maps"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

// logStartsFile holds where each log starts, in the same text as the high
// watermarks' file, for the logs whose start their files do not tell: 0 is left
// out. Here a wrong entry would hide records, so none may outlive its log; and a
// missing one would bring deleted records back, so a broker that finds no such file,
// or nonsense, has lost something (disk.go).
const logStartsFile = "log-start-offset-checkpoint"

// logStarts writes that file. Its methods are safe for concurrent use.
type logStarts struct {
	slot chan struct{} // guards what follows, and spans disk calls
	keptCheckpoint
}

func newLogStarts(disk vfs.FS) *logStarts {
	return &logStarts{slot: make(chan struct{}, 1), keptCheckpoint: newKeptCheckpoint(disk, logStartsFile)}
}

func (s *logStarts) hold() (release func()) {
	s.slot <- struct{}{}
	return func() { <-s.slot }
}

// write brings the file up to what collect returns, and calls kept with it. Logs that
// collect does not name keep their entries: no topic may have claimed them yet.
func (s *logStarts) write(collect func() offsetCheckpoint, kept func(offsetCheckpoint)) error {
	defer s.hold()()
	starts := collect()
	now := offsetCheckpoint{}
	maps.Copy(now, s.written)
	maps.Copy(now, starts)
	maps.DeleteFunc(now, func(_ topicPartition, start int64) bool { return start == 0 })
	if err := s.replace(now); err != nil {
		return err
	}
	kept(starts)
	return nil
}

// lower sees to it that no entry of tp is above offset before change makes the log
// start there. Nobody writes meanwhile.
func (s *logStarts) lower(tp topicPartition, offset int64, change func() error) error {
	defer s.hold()()
	if s.written[tp] > offset {
		now := maps.Clone(s.written)
		if now[tp] = offset; offset == 0 {
			delete(now, tp)
		}
		if err := s.replace(now); err != nil {
			return err
		}
	}
	return change()
}

// forget removes the entry of a log that is no more, before another one takes its
// name.
func (s *logStarts) forget(tp topicPartition) error {
	return s.lower(tp, 0, func() error { return nil })
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

// keepFound writes the checkpoint with the starts of all logs that were found on
// the disk, whether their own files or the checkpoint told them.
func (t *replicaTable) keepFound(missing bool) error {
	if missing {
		t.starts.written = nil // writes even an empty one
	}
	collect := func() offsetCheckpoint {
		c := offsetCheckpoint{}
		for dir, found := range t.found {
			if tp, ok := parseLogDir(dir); ok {
				c[tp] = found.log.LogStartOffset()
			}
		}
		return c
	}
	return t.starts.write(collect, func(offsetCheckpoint) {})
}

// logStarts is where each replica's log starts.
func (t *replicaTable) logStarts() offsetCheckpoint {
	c := offsetCheckpoint{}
	for h := range t.each() {
		c[h.name()] = h.log.LogStartOffset()
	}
	return c
}

// Keep implements replication.StartKeeper: it writes the checkpoint of the log
// starts, if it has changed. An error is the disk's, and the broker goes down.
func (t *replicaTable) Keep() error {
	err := t.starts.write(t.logStarts, func(starts offsetCheckpoint) {
		for h := range t.each() {
			if start, known := starts[h.name()]; known {
				h.replica.StartKept(start)
			}
		}
	})
	if err != nil {
		t.failed(err)
	}
	return err
}

// Lower implements replication.StartKeeper.
func (t *replicaTable) Lower(r *replication.Replica, offset int64, change func() error) error {
	return t.starts.lower(topicPartition{r.Topic(), r.ID().Partition}, offset, func() error {
		if err := change(); err != nil {
			return err
		}
		r.StartKept(offset) // by the name of the log's first file
		return nil
	})
}
