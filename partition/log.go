package partition

import (
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// Config is what a log is told about its topic.
type Config struct {
	SegmentBytes       int // a segment is rolled before it would grow above this
	IndexIntervalBytes int // bytes between two entries of the offset index
	SegmentIndexBytes  int // a segment is rolled when its index has this size
	MaxMessageBytes    int // of a whole batch, as it is stored
	Compacted          bool
	LogAppendTime      bool
	TimestampBeforeMax time.Duration
	TimestampAfterMax  time.Duration
	CompressionType    string // "producer" or "" leaves batches as they were sent
	FlushMessages      int64  // records after which an append syncs before it returns
	FlushInterval      time.Duration

	ProducerIDExpiration time.Duration

	TopicID metadata.UUID // written to partition.metadata when it is not zero
}

// ConfigOf translates a topic's config.
func ConfigOf(t *metadata.TopicConfig) Config { panic("not built yet") }

type Log struct{}

// Recovery says what Open found.
type Recovery struct {
	LogStartOffset, LogEndOffset int64
	TornBytes                    int64 // cut from the tail
	Corrupt                      []*CorruptError
}

// AppendInfo says where an append went.
type AppendInfo struct {
	BaseOffset, LastOffset int64
	Timestamp              int64 // ms; -1: the records' own were kept
	Duplicate              bool  // nothing was appended: it was there already
	Records, Bytes         int
	LogStartOffset         int64
}

// EpochEnd is where a leader epoch ends in a log; (-1, -1) if it is not known.
type EpochEnd struct {
	Epoch  int32
	Offset int64
}

// EpochStart is the offset of the first record of a leader epoch.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

func Open(fs vfs.FS, dir string, cfg Config) (*Log, Recovery, error) { panic("not built yet") }
func (l *Log) SetConfig(cfg Config)                                  { panic("not built yet") }
func (l *Log) AppendAsLeader(batch []byte, leaderEpoch int32, now time.Time) (AppendInfo, error) {
	panic("not built yet")
}
func (l *Log) AppendAsFollower(batches []byte, leaderEpoch int32) (AppendInfo, error) {
	panic("not built yet")
}
func (l *Log) Read(buf []byte, from, limit int64, maxBytes int, atLeastOne bool) ([]byte, error) {
	panic("not built yet")
}
func (l *Log) Truncate(to int64) (from int64, err error) { panic("not built yet") }
func (l *Log) Reset(offset int64) error                  { panic("not built yet") }
func (l *Log) SetLogStart(offset int64) error            { panic("not built yet") }
func (l *Log) LogStartOffset() int64                     { panic("not built yet") }
func (l *Log) LogEndOffset() int64                       { panic("not built yet") }
func (l *Log) EndOffsetForEpoch(epoch int32) EpochEnd    { panic("not built yet") }
func (l *Log) LatestEpoch() int32                        { panic("not built yet") }
func (l *Log) StartEpoch(epoch int32) error              { panic("not built yet") }
func (l *Log) Epochs() []EpochStart                      { panic("not built yet") }
func (l *Log) Sync() error                               { panic("not built yet") }
func (l *Log) Close() error                              { panic("not built yet") }
func (l *Log) Size() int64                               { panic("not built yet") }

// CorruptError says where a log's files hold what was never written to them.
// It is metadata.ErrCorruptMessage.
type CorruptError struct {
	File   string
	Offset int64 // position in the file
	Why    string
}

func (e *CorruptError) Error() string { panic("not built yet") }
