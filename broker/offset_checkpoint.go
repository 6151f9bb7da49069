package broker

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/brokersim/brokersim/internal/vfs"
)

// highWatermarksFile holds each replica's high watermark, every few seconds, in
// the text of Kafka's replication-offset-checkpoint: a version, a count, and a
// line "topic partition offset" for each. A high watermark that is too low only has
// to be learned again; one above the log's end says that the log has lost something
// (incarnation.go), and is clamped.
const highWatermarksFile = "replication-offset-checkpoint"

// topicPartition is a partition by name, as the checkpoint knows it.
type topicPartition struct {
	topic     string
	partition int32
}

func (tp topicPartition) String() string { return tp.topic + "-" + strconv.Itoa(int(tp.partition)) }

func compareTopicPartitions(a, b topicPartition) int {
	return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

type offsetCheckpoint map[topicPartition]int64

func (c offsetCheckpoint) encode() []byte {
	b := fmt.Appendf(nil, "0\n%d\n", len(c))
	for _, tp := range slices.SortedFunc(maps.Keys(c), compareTopicPartitions) {
		b = fmt.Appendf(b, "%s %d %d\n", tp.topic, tp.partition, c[tp])
	}
	return b
}

func parseOffsetCheckpoint(text []byte) (offsetCheckpoint, error) {
	version, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(version) != "0" {
		return nil, fmt.Errorf("version %.20q is not known", version)
	}
	count, rest, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(count))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%.20q is no number of entries", count)
	}
	c := offsetCheckpoint{}
	for line := range bytes.Lines(rest) {
		tp, offset, err := parseOffsetLine(line)
		if err != nil {
			return nil, err
		}
		if _, twice := c[tp]; twice {
			return nil, fmt.Errorf("%s is there twice", tp)
		}
		c[tp] = offset
	}
	if len(c) != n {
		return nil, fmt.Errorf("%d entries instead of %d", len(c), n)
	}
	return c, nil
}

func parseOffsetLine(line []byte) (topicPartition, int64, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return topicPartition{}, 0, fmt.Errorf("%.300q is not \"topic partition offset\"", line)
	}
	partition, err1 := strconv.ParseInt(string(fields[1]), 10, 32)
	offset, err2 := strconv.ParseInt(string(fields[2]), 10, 64)
	if err1 != nil || err2 != nil || partition < 0 || offset < 0 {
		return topicPartition{}, 0, fmt.Errorf("%.300q is not \"topic partition offset\"", line)
	}
	return topicPartition{string(fields[0]), int32(partition)}, offset, nil
}

// parseLogDir splits the name of a log's directory, "orders-0".
func parseLogDir(name string) (topicPartition, bool) {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '-' {
			continue
		}
		n, err := strconv.ParseInt(name[i+1:], 10, 32)
		tp := topicPartition{name[:i], int32(n)}
		return tp, err == nil && n >= 0 && tp.String() == name
	}
	return topicPartition{}, false
}

// A keptCheckpoint is a checkpoint file whose text is known, so that it is written only
// when it changes. Whoever has it serialises.
type keptCheckpoint struct {
	disk    vfs.FS
	name    string
	written offsetCheckpoint // nil: whatever comes is written
}

func newKeptCheckpoint(disk vfs.FS, name string) keptCheckpoint {
	return keptCheckpoint{disk, name, offsetCheckpoint{}}
}

// replace brings the file, durably, to what it should say now.
func (k *keptCheckpoint) replace(now offsetCheckpoint) error {
	if k.written != nil && maps.Equal(now, k.written) {
		return nil
	}
	if err := vfs.WriteFileSynced(k.disk, k.name, now.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", k.name, err)
	}
	k.written = now
	return nil
}
