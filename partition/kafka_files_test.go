package partition_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// kafkaFiles holds what Apache Kafka wrote, and what it said of that. Its README
// tells how they were made.
const kafkaFiles = "testdata/kafka-4.1"

// kafkaLog is a log of Kafka's in a directory of its own, as Kafka described it.
type kafkaLog struct {
	dir string // where it stands in testdata

	Start, End int64
	Max        kafkaOffset
	Records    []kafkaRecord
	Lookups    []struct {
		Ms int64
		kafkaOffset
	}
	Producers []kafkaProducer
}

type kafkaOffset struct {
	Offset, Timestamp int64
	Epoch             int32
}

func (o kafkaOffset) timed() partition.TimedOffset {
	return partition.TimedOffset{Offset: o.Offset, Timestamp: o.Timestamp, LeaderEpoch: o.Epoch}
}

type kafkaRecord struct {
	Offset, Timestamp int64
	Epoch             int32
	Key, Value        *string
	Headers           []kafkaHeader
}

type kafkaHeader struct {
	Key   string
	Value []byte
}

type kafkaProducer struct {
	ID          int64
	Epoch       int16
	Sequence    int32 // of its last record; -1 if there is none in this epoch
	Timestamp   int64
	Transaction int64 // offset where its open transaction begins, or -1
}

// compactedByKafka are the topics in which offsets are missing.
var compactedByKafka = []string{"compacted-0", "forgotten-0"}

// forEachKafkaLog runs a test on a copy of each log that Kafka wrote, on a real disk
// and in memory.
func forEachKafkaLog(t *testing.T, test func(t *testing.T, disk vfs.FS, k kafkaLog)) {
	for _, stopped := range []string{"clean", "killed"} {
		text, err := os.ReadFile(filepath.Join(kafkaFiles, stopped, "expected.json"))
		require.NoError(t, err)
		logs := map[string]kafkaLog{}
		require.NoError(t, json.Unmarshal(text, &logs))
		require.Len(t, logs, 12)
		for topic, k := range logs {
			k.dir = filepath.Join(kafkaFiles, stopped, topic+"-0")
			t.Run(stopped+"/"+topic+"/memory", func(t *testing.T) {
				disk := vfs.NewMem(1)
				k.copyTo(t, disk)
				test(t, disk, k)
			})
			t.Run(stopped+"/"+topic+"/files", func(t *testing.T) {
				disk, err := vfs.NewOS(t.TempDir())
				require.NoError(t, err)
				k.copyTo(t, disk)
				test(t, disk, k)
			})
		}
	}
}

// copyTo puts the log's files into dir. That offsets are missing is something that
// Kafka's files do not say: whoever takes them over has to.
func (k *kafkaLog) copyTo(t *testing.T, disk vfs.FS) {
	t.Helper()
	require.NoError(t, disk.MkdirAll(dir))
	entries, err := os.ReadDir(k.dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(k.dir, e.Name()))
		require.NoError(t, err)
		f, err := disk.Create(path.Join(dir, e.Name())) // not synced: that would be most of the tests' time
		require.NoError(t, err)
		_, err = f.WriteAt(b, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	if k.compacted() {
		require.NoError(t, vfs.WriteFileSynced(disk, path.Join(dir, "offset-gaps"), []byte("version: 0\n")))
	}
}

func (k *kafkaLog) compacted() bool { return slices.Contains(compactedByKafka, filepath.Base(k.dir)) }

func (k *kafkaLog) config() partition.Config {
	return partition.Config{SegmentBytes: 2000, IndexIntervalBytes: 300, SegmentIndexBytes: 1200, Compacted: k.compacted()}
}

// open opens the log and makes it start where it did, as a broker does that has read
// Kafka's log-start-offset-checkpoint.
func (k *kafkaLog) open(t *testing.T, disk vfs.FS) *partition.Log {
	t.Helper()
	l, found, err := partition.Open(disk, dir, k.config())
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	require.Empty(t, found.Corrupt)
	require.Zero(t, found.TornBytes)
	require.LessOrEqual(t, found.LogStartOffset, k.Start)
	require.NoError(t, l.SetLogStart(k.Start))
	return l
}

// Every record is served as Kafka's own consumer was served it.
func TestKafkasRecordsAreRead(t *testing.T) {
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		l := k.open(t, disk)
		require.Equal(t, [2]int64{k.Start, k.End}, [2]int64{l.LogStartOffset(), l.LogEndOffset()})
		require.Equal(t, k.Records, k.recordsOf(t, l))
	})
}

// recordsOf reads a log, in small steps, and leaves out what consumers do: control
// batches, and records below the log start.
func (k *kafkaLog) recordsOf(t *testing.T, l *partition.Log) (records []kafkaRecord) {
	t.Helper()
	records = []kafkaRecord{}
	for at := l.LogStartOffset(); at < l.LogEndOffset(); {
		b, err := l.Read(nil, at, math.MaxInt64, 700, true)
		require.NoError(t, err)
		if len(b) == 0 {
			break // the cleaner has taken the last ones
		}
		for batch := range partition.Batches(b) {
			at = batch.NextOffset()
			for _, r := range recordsIn(t, batch) {
				if r.Offset >= l.LogStartOffset() && !batch.Control() {
					records = append(records, r)
				}
			}
		}
	}
	return records
}

// The first record since a time, and the newest, are those that Kafka named.
func TestKafkasTimesAreFound(t *testing.T) {
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		l := k.open(t, disk)
		for _, ask := range k.Lookups {
			found, err := l.OffsetForTime(ask.Ms)
			require.NoError(t, err)
			require.Equal(t, ask.timed(), found, "since %d", ask.Ms)
		}
		found, err := l.OffsetOfMaxTime(k.End)
		require.NoError(t, err)
		require.Equal(t, k.Max.timed(), found, "the newest")
	})
}

// The epochs are those of Kafka's checkpoint, but for one that began at the log's end: it
// has no records, and Kafka forgets it when it starts again.
func TestKafkasEpochsAreKnown(t *testing.T) {
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		b, err := os.ReadFile(filepath.Join(k.dir, "leader-epoch-checkpoint"))
		require.NoError(t, err)
		var want []partition.EpochStart
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[2:] {
			var e partition.EpochStart
			_, err := fmt.Sscan(line, &e.Epoch, &e.Offset)
			require.NoError(t, err)
			want = append(want, e)
		}
		atEnd := func(e partition.EpochStart) bool { return e.Offset == k.End }
		require.Equal(t, fmt.Sprint(slices.DeleteFunc(want, atEnd)), fmt.Sprint(slices.DeleteFunc(k.open(t, disk).Epochs(), atEnd)))
	})
}

// A producer goes on where Kafka last heard of it, and nowhere else.
func TestKafkasProducersGoOn(t *testing.T) {
	told := 0
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		l := k.open(t, disk)
		for _, p := range k.Producers {
			told++
			send := func(epoch int16, sequence int32) error {
				spec := batchtest.Spec{Producer: &batchtest.Producer{ID: p.ID, Epoch: epoch, Sequence: sequence}, Records: batchtest.Values("v")}
				spec.Records[0].Key = []byte("k")
				_, err := l.AppendAsLeader(spec.Bytes(), l.LatestEpoch(), now)
				return err
			}
			require.ErrorIs(t, send(p.Epoch, p.Sequence+2), metadata.ErrOutOfOrderSequenceNumber)
			if p.Epoch > 0 {
				require.ErrorIs(t, send(p.Epoch-1, p.Sequence+1), metadata.ErrInvalidProducerEpoch)
			}
			require.NoError(t, send(p.Epoch, p.Sequence+1))
			require.ErrorIs(t, send(p.Epoch, p.Sequence+3), metadata.ErrOutOfOrderSequenceNumber)
		}
	})
	require.Greater(t, told, 2*30)
}
