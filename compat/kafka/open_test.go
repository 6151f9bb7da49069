package kafka

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// opened is what a log is found to hold, by Kafka's code or by ours.
type opened struct {
	Dir        string
	Start, End int64
	Epochs     []partition.EpochStart
	Records    []openedRecord
	Max        partition.TimedOffset
	Lookups    []lookup
	Producers  []struct {
		ID       int64
		Epoch    int16
		Sequence int32
	}
}

type lookup struct {
	Ms int64
	partition.TimedOffset
}

type openedRecord struct {
	Offset, Timestamp int64
	Epoch             int32
	Key, Value        *string
}

// Kafka's own code opens the logs of a cluster that was closed, believing their indexes,
// and finds in them what we find: records, epochs, times. The same, and the producers,
// after it has made the indexes anew. What it appends to them then, we read.
func TestDumpKafkaOpensOurLogs(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	c, err := brokersim.New(t.Context(), options(dir)...)
	require.NoError(t, err)
	defer c.Close()
	writer{t, c, new(ledger).note}.everything()
	require.NoError(t, c.Close())
	logs, err := filepath.Glob(filepath.Join(dir, "broker-1", "*-0"))
	require.NoError(t, err)
	require.Len(t, logs, 10)

	crashed, snapshots := copies(t, logs), map[string]bool{}
	for _, name := range files(t, dir, ".snapshot") {
		snapshots[filepath.Dir(name)] = true
	}

	clean := openWithKafka(t, "clean", "read", logs)
	anew := openWithKafka(t, "unclean", "append", crashed)
	for i := range logs {
		producersGoOn(t, logs[i], anew[i])
		if !snapshots[logs[i]] { // then a clean start knows none
			clean[i].Producers = anew[i].Producers
		}
		anew[i].Dir = clean[i].Dir
		require.Equal(t, ours(t, logs[i], clean[i]), clean[i], logs[i])
		require.Equal(t, clean[i], anew[i], "with indexes that Kafka has made anew")
	}
	for i, found := range openWithKafka(t, "clean", "read", crashed) {
		require.Len(t, found.Records, len(clean[i].Records)+80)
		require.Equal(t, ours(t, crashed[i], found), found, "with what Kafka has appended")
	}
}

// copies puts logs side by side in another directory.
func copies(t *testing.T, logs []string) (dirs []string) {
	t.Helper()
	to := t.TempDir()
	for _, log := range logs {
		dir := filepath.Join(to, filepath.Base(log))
		require.NoError(t, os.CopyFS(dir, os.DirFS(log)))
		dirs = append(dirs, dir)
	}
	return dirs
}

func openWithKafka(t *testing.T, stopped, then string, logs []string) (all []opened) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "java", append([]string{"-Xmx512m", "-cp", kafka(t), "Open.java", stopped, then}, logs...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var o opened
		require.NoError(t, d.Decode(&o))
		all = append(all, o)
	}
	require.Len(t, all, len(logs))
	return all
}

// ours is what we find in a copy of a log, asked for the same times.
func ours(t *testing.T, log string, asked opened) opened {
	t.Helper()
	l := openCopy(t, log)
	defer l.Close()
	require.NoError(t, l.SetLogStart(asked.Start))
	o := opened{Dir: asked.Dir, Start: l.LogStartOffset(), End: l.LogEndOffset(), Epochs: l.Epochs(), Records: []openedRecord{}, Producers: asked.Producers}
	if o.Epochs == nil {
		o.Epochs = []partition.EpochStart{}
	}
	var err error
	o.Max, err = l.OffsetOfMaxTime(math.MaxInt64)
	require.NoError(t, err)
	for _, ask := range asked.Lookups {
		found, err := l.OffsetForTime(ask.Ms)
		require.NoError(t, err)
		o.Lookups = append(o.Lookups, lookup{ask.Ms, found})
	}
	for at := o.Start; at < o.End; {
		b, err := l.Read(nil, at, math.MaxInt64, 1<<20, true)
		require.NoError(t, err)
		for batch := range partition.Batches(b) {
			o.Records, at = append(o.Records, unpack(t, batch)...), batch.NextOffset()
		}
	}
	return o
}

// producersGoOn checks that a producer may go on where Kafka's code expects it.
func producersGoOn(t *testing.T, log string, found opened) {
	t.Helper()
	l := openCopy(t, log)
	defer l.Close()
	for _, p := range found.Producers {
		send := func(sequence int32) error {
			_, err := l.AppendAsLeader(batchtest.Spec{
				Producer: &batchtest.Producer{ID: p.ID, Epoch: p.Epoch, Sequence: sequence}, Records: batchtest.Values("v"),
			}.Bytes(), 1000, time.Now())
			return err
		}
		require.Error(t, send(p.Sequence+2))
		require.NoError(t, send(p.Sequence+1))
	}
	if filepath.Base(log) == "idempotent-0" {
		require.NotEmpty(t, found.Producers)
	}
}

func openCopy(t *testing.T, log string) *partition.Log {
	t.Helper()
	disk, err := vfs.NewOS(filepath.Dir(copies(t, []string{log})[0]))
	require.NoError(t, err)
	l, found, err := partition.Open(disk, filepath.Base(log), partition.Config{})
	require.NoError(t, err)
	require.Empty(t, found.Corrupt)
	require.Zero(t, found.TornBytes)
	return l
}

func unpack(t *testing.T, batch partition.Batch) (records []openedRecord) {
	t.Helper()
	var k kmsg.RecordBatch
	require.NoError(t, k.ReadFrom(batch))
	rest, err := new(codec.Decoder).Decompress(batch.Codec(), k.Records)
	require.NoError(t, err)
	for range k.NumRecords {
		size, n := binary.Varint(rest)
		var r kmsg.Record
		require.NoError(t, r.ReadFrom(rest[:n+int(size)]))
		rest = rest[n+int(size):]
		out := openedRecord{Offset: k.FirstOffset + int64(r.OffsetDelta), Timestamp: k.FirstTimestamp + r.TimestampDelta64, Epoch: k.PartitionLeaderEpoch,
			Key: text(r.Key), Value: text(r.Value)}
		if batch.LogAppendTime() {
			out.Timestamp = k.MaxTimestamp
		}
		records = append(records, out)
	}
	return records
}

func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}
