package broker

import (
	"context"
	"maps"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

// How often the high watermarks are written: Kafka's
// replica.high.watermark.checkpoint.interval.ms.
const checkpointEvery = 5 * time.Second

// checkpoint writes the high watermarks and the log starts every few seconds, if
// anything has happened, and the recovery points every minute, until ctx ends.
func (b *Broker) checkpoint(ctx context.Context) error {
	var turns uint64
	for {
		if err := sleep(ctx, checkpointEvery); err != nil {
			return err
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		if err := b.points.tick(time.Now(), b.replicas.recoveryPoints); err != nil {
			b.fail(err)
			return err
		}
		var something bool
		if turns, something = b.replicas.stirred.since(turns); !something {
			continue
		}
		if err := b.replicas.Keep(); err != nil {
			return err
		}
		if err := b.replicas.writeMarks(); err != nil {
			b.fail(err)
			return err
		}
	}
}

// marksFile is the file of the high watermarks. A log that ends below its high
// watermark has lost something, so no entry may outlive its log. Its methods are safe
// for concurrent use.
type marksFile struct {
	slot chan struct{} // guards what follows, and spans disk calls
	keptCheckpoint
}

func newMarksFile(disk vfs.FS) *marksFile {
	return &marksFile{slot: make(chan struct{}, 1), keptCheckpoint: newKeptCheckpoint(disk, highWatermarksFile)}
}

func (f *marksFile) write(now offsetCheckpoint) error {
	f.slot <- struct{}{}
	defer func() { <-f.slot }()
	return f.replace(now)
}

// forget removes the entry of a log that is no more, before another one takes its name.
func (f *marksFile) forget(tp topicPartition) error {
	f.slot <- struct{}{}
	defer func() { <-f.slot }()
	if _, there := f.written[tp]; !there && f.written != nil {
		return nil // of ten thousand new logs, none: do not look through ten thousand
	}
	rest := maps.Clone(f.written)
	delete(rest, tp)
	return f.replace(rest)
}

// writeMarks writes the checkpoint of the high watermarks, if it has changed. Before it
// is known which logs belong here, what was found is left as it is.
func (t *replicaTable) writeMarks() error {
	if !t.known.Load() {
		return nil
	}
	return t.marks.write(t.highWatermarks())
}
