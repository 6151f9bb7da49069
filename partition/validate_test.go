package partition_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// patch changes a batch and makes its checksum right again.
func patch(b []byte, change func(b []byte)) []byte {
	change(b)
	return batchtest.Seal(b)
}

func put32(b []byte, at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }

// rewritten returns a batch of one record whose bytes, without the length, change
// makes.
func rewritten(change func(record []byte) []byte) []byte {
	b := batchtest.NewBatch("value")
	record := change(append([]byte{}, b[62:]...))
	b = append(binary.AppendVarint(b[:61:61], int64(len(record))), record...)
	return batchtest.Seal(b)
}

func TestRefusedBatches(t *testing.T) {
	newBatch := func() []byte { return batchtest.NewBatch("a", "b") }
	with := func(change func(*batchtest.Spec)) []byte {
		s := batchtest.Spec{Records: batchtest.Values("a", "b")}
		change(&s)
		return s.Bytes()
	}
	at := func(d time.Duration) []byte {
		return with(func(s *batchtest.Spec) { s.Records[1].Timestamp = now.Add(d).UnixMilli() })
	}
	tooMuch, err := codec.Compress(codec.Gzip, make([]byte, codec.MaxUnpacked+1))
	require.NoError(t, err)

	for name, c := range map[string]struct {
		batch []byte
		cfg   partition.Config
		want  error
	}{
		"nothing":                  {nil, partition.Config{}, metadata.ErrInvalidRecord},
		"half a header":            {newBatch()[:40], partition.Config{}, metadata.ErrCorruptMessage},
		"cut off":                  {newBatch()[:70], partition.Config{}, metadata.ErrCorruptMessage},
		"two batches":              {append(newBatch(), newBatch()...), partition.Config{}, metadata.ErrInvalidRecord},
		"bytes behind the batch":   {append(newBatch(), 0), partition.Config{}, metadata.ErrInvalidRecord},
		"length too small":         {func() []byte { b := newBatch(); put32(b, 8, 10); return b }(), partition.Config{}, metadata.ErrCorruptMessage},
		"length negative":          {func() []byte { b := newBatch(); put32(b, 8, 1<<31); return b }(), partition.Config{}, metadata.ErrCorruptMessage},
		"message format 1":         {patch(newBatch(), func(b []byte) { b[16] = 1 }), partition.Config{}, metadata.ErrUnsupportedForMessageFormat},
		"message format 3":         {patch(newBatch(), func(b []byte) { b[16] = 3 }), partition.Config{}, metadata.ErrCorruptMessage},
		"a flipped bit":            {func() []byte { b := newBatch(); b[65] ^= 4; return b }(), partition.Config{}, metadata.ErrCorruptMessage},
		"too large":                {newBatch(), partition.Config{MaxMessageBytes: 70}, metadata.ErrMessageTooLarge},
		"larger than a segment":    {newBatch(), partition.Config{SegmentBytes: 70}, metadata.ErrMessageTooLarge},
		"no records":               {patch(newBatch(), func(b []byte) { put32(b, 57, 0) }), partition.Config{}, metadata.ErrInvalidRecord},
		"negative count":           {patch(newBatch(), func(b []byte) { put32(b, 57, 1<<31) }), partition.Config{}, metadata.ErrInvalidRecord},
		"count and offsets differ": {patch(newBatch(), func(b []byte) { put32(b, 23, 2) }), partition.Config{}, metadata.ErrInvalidRecord},
		"fewer records than said":  {patch(newBatch(), func(b []byte) { put32(b, 23, 2); put32(b, 57, 3) }), partition.Config{}, metadata.ErrInvalidRecord},
		"more records than said":   {patch(newBatch(), func(b []byte) { put32(b, 23, 0); put32(b, 57, 1) }), partition.Config{}, metadata.ErrInvalidRecord},
		"a huge count":             {patch(newBatch(), func(b []byte) { put32(b, 23, 1<<31-2); put32(b, 57, 1<<31-1) }), partition.Config{}, metadata.ErrInvalidRecord},
		"a control batch":          {with(func(s *batchtest.Spec) { s.Control = true }), partition.Config{}, metadata.ErrInvalidRecord},
		"a transaction":            {with(func(s *batchtest.Spec) { s.Transactional = true }), partition.Config{}, metadata.ErrInvalidRecord},
		"unknown attributes":       {with(func(s *batchtest.Spec) { s.Attributes = 1 << 9 }), partition.Config{}, metadata.ErrInvalidRecord},
		"producer, no sequence":    {with(func(s *batchtest.Spec) { s.Producer = &batchtest.Producer{ID: 1, Sequence: -1} }), partition.Config{}, metadata.ErrInvalidRecord},
		"producer, no epoch":       {with(func(s *batchtest.Spec) { s.Producer = &batchtest.Producer{ID: 1, Epoch: -1} }), partition.Config{}, metadata.ErrInvalidRecord},
		"LogAppendTime set":        {with(func(s *batchtest.Spec) { s.Attributes = 1 << 3 }), partition.Config{}, metadata.ErrInvalidTimestamp},
		"unknown codec":            {with(func(s *batchtest.Spec) { s.Attributes = 7 }), partition.Config{}, metadata.ErrUnsupportedCompressionType},
		"not compressed as said":   {with(func(s *batchtest.Spec) { s.Attributes = 4 }), partition.Config{}, metadata.ErrCorruptMessage},
		"a bomb":                   {patch(append(with(func(s *batchtest.Spec) { s.Attributes = 1 })[:61:61], tooMuch...), func([]byte) {}), partition.Config{}, metadata.ErrMessageTooLarge},
		"no key":                   {newBatch(), partition.Config{Compacted: true}, metadata.ErrInvalidRecord},
		"too old":                  {at(-2 * time.Hour), partition.Config{TimestampBeforeMax: time.Hour}, metadata.ErrInvalidTimestamp},
		"too far ahead":            {at(2 * time.Hour), partition.Config{TimestampAfterMax: time.Hour}, metadata.ErrInvalidTimestamp},
		"before time":              {patch(newBatch(), func(b []byte) { binary.BigEndian.PutUint64(b[27:], 1<<63) }), partition.Config{}, metadata.ErrInvalidTimestamp},
		"record length":            {patch(newBatch(), func(b []byte) { b[61] = 0x7e }), partition.Config{}, metadata.ErrInvalidRecord},
		"record length negative":   {patch(newBatch(), func(b []byte) { b[61] = 0x01 }), partition.Config{}, metadata.ErrInvalidRecord},
		"record offset":            {rewritten(func(r []byte) []byte { r[2] = 2; return r }), partition.Config{}, metadata.ErrInvalidRecord},
		"key length":               {rewritten(func(r []byte) []byte { r[3] = 0x7e; return r }), partition.Config{}, metadata.ErrInvalidRecord},
		"value length":             {rewritten(func(r []byte) []byte { r[4] = 0x7e; return r }), partition.Config{}, metadata.ErrInvalidRecord},
		"headers missing":          {rewritten(func(r []byte) []byte { return r[:len(r)-1] }), partition.Config{}, metadata.ErrInvalidRecord},
		"headers negative":         {rewritten(func(r []byte) []byte { r[len(r)-1] = 1; return r }), partition.Config{}, metadata.ErrInvalidRecord},
		"headers huge":             {rewritten(func(r []byte) []byte { return append(r[:len(r)-1], 0xfe, 0xff, 0xff, 0xff, 0x0f) }), partition.Config{}, metadata.ErrInvalidRecord},
		"header without key":       {rewritten(func(r []byte) []byte { return append(r[:len(r)-1], 2, 1, 1) }), partition.Config{}, metadata.ErrInvalidRecord},
		"bytes behind a record":    {rewritten(func(r []byte) []byte { return append(r, 0) }), partition.Config{}, metadata.ErrInvalidRecord},
		"an empty record":          {rewritten(func([]byte) []byte { return nil }), partition.Config{}, metadata.ErrInvalidRecord},
		"an endless varint":        {rewritten(func([]byte) []byte { return []byte{0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255} }), partition.Config{}, metadata.ErrInvalidRecord},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, vfs.NewMem(1), c.cfg)
			_, err := l.AppendAsLeader(c.batch, 0, now)
			require.ErrorIs(t, err, c.want)
			require.Zero(t, l.LogEndOffset())
			require.Zero(t, l.Size())
		})
	}
}

func TestTheRefusedRecordIsNamed(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{Compacted: true})
	_, err := l.AppendAsLeader(batchtest.Spec{Records: []batchtest.Record{{Key: []byte("k")}, {}}}.Bytes(), 0, now)
	var record *partition.RecordError
	require.ErrorAs(t, err, &record)
	require.Equal(t, 1, record.Index)
	require.Contains(t, record.Why, "no key")
}

func TestAcceptedBatches(t *testing.T) {
	full := []batchtest.Record{
		{Key: []byte("k"), Value: []byte("v"), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}, {Key: "", Value: nil}}},
		{Key: []byte{}, Value: nil, Timestamp: batchtest.Timestamp - 5000},
		{Key: make([]byte, 300), Value: make([]byte, 20_000), Timestamp: batchtest.Timestamp + 70_000},
	}
	for c := codec.None; c <= codec.ZSTD; c++ {
		t.Run(c.String(), func(t *testing.T) {
			l := open(t, vfs.NewMem(1), partition.Config{Compacted: true, TimestampBeforeMax: 5 * time.Second, TimestampAfterMax: 70 * time.Second})
			b := batchtest.Spec{Codec: c, Records: full}.Bytes()
			_, err := l.AppendAsLeader(b, 0, now)
			require.NoError(t, err)
			got, err := l.Read(nil, 0, 3, 1<<20, true)
			require.NoError(t, err)
			require.Equal(t, batchtest.Spec{Codec: c, Records: full}.Bytes(), got, "as it was sent")
		})
	}
}

func TestNoTimestampIsAccepted(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{TimestampBeforeMax: time.Hour, TimestampAfterMax: time.Hour})
	_, err := l.AppendAsLeader(batchtest.Spec{Records: []batchtest.Record{{Timestamp: -1}}}.Bytes(), 0, now)
	require.NoError(t, err)
}

func TestLogAppendTime(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{LogAppendTime: true, TimestampBeforeMax: time.Minute})
	b := batchtest.Spec{Records: []batchtest.Record{{Timestamp: 5}}}.Bytes()
	info, err := l.AppendAsLeader(b, 0, now)
	require.NoError(t, err)
	require.Equal(t, now.UnixMilli(), info.Timestamp)
	got, err := l.Read(nil, 0, 1, 1<<20, true)
	require.NoError(t, err)
	batch := partition.Batch(got)
	require.True(t, batch.LogAppendTime())
	require.Equal(t, now.UnixMilli(), batch.MaxTimestamp())
	require.Equal(t, batch.Checksum(), batch.CRC())
	require.EqualValues(t, 5, batch.BaseTimestamp(), "nothing else changes")
}

func TestAWrongMaxTimestampIsCorrected(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	b := patch(batchtest.NewBatch("a"), func(b []byte) { binary.BigEndian.PutUint64(b[35:], 77) })
	_, err := l.AppendAsLeader(b, 0, now)
	require.NoError(t, err)
	got, err := l.Read(nil, 0, 1, 1<<20, true)
	require.NoError(t, err)
	require.Equal(t, batchtest.NewBatch("a"), got)
}

func TestCompressionTypeOfTheTopic(t *testing.T) {
	for from := codec.None; from <= codec.ZSTD; from++ {
		for name, to := range map[string]codec.Type{"uncompressed": codec.None, "gzip": codec.Gzip, "snappy": codec.Snappy, "lz4": codec.LZ4, "zstd": codec.ZSTD} {
			l := open(t, vfs.NewMem(1), partition.Config{CompressionType: name})
			s := batchtest.Spec{Codec: from, Records: batchtest.Values("a", "b"), Producer: &batchtest.Producer{ID: 9}}
			info, err := l.AppendAsLeader(s.Bytes(), 2, now)
			require.NoError(t, err)
			got, err := l.Read(nil, 0, 2, 1<<20, true)
			require.NoError(t, err)
			s.Codec, s.LeaderEpoch = to, 2
			require.Equal(t, s.Bytes(), got, "%v to %v", from, to)
			require.Equal(t, len(got), info.Bytes)
		}
	}
}

// FuzzBatch sends any bytes to a leader and to a follower: each appends what it can
// read back, or refuses with an error that a client can be told.
func FuzzBatch(f *testing.F) {
	f.Add(batchtest.NewBatch("a", "b"), false)
	f.Add(batchtest.At(0, 3, "a", "b"), true)
	for c := codec.None; c <= codec.ZSTD; c++ {
		f.Add(batchtest.Spec{Codec: c, Records: batchtest.Values("some", "values"), Producer: &batchtest.Producer{ID: 4}}.Bytes(), true)
	}
	f.Add(patch(batchtest.NewBatch("a"), func(b []byte) { put32(b, 57, 1<<31-1) }), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) > 61 {
			b = batchtest.Seal(b) // or else the checksum would keep everything out
		}
		l := open(t, vfs.NewMem(1), partition.Config{})
		known := []error{metadata.ErrInvalidRecord, metadata.ErrCorruptMessage, metadata.ErrInvalidTimestamp,
			metadata.ErrUnsupportedForMessageFormat, metadata.ErrUnsupportedCompressionType, metadata.ErrMessageTooLarge}
		tellable := func(err error) bool {
			for _, e := range known {
				if errors.Is(err, e) {
					return true
				}
			}
			return err == nil
		}
		info, err := l.AppendAsFollower(append([]byte{}, b...), 1<<30)
		require.True(t, tellable(err), "%v", err)
		end := l.LogEndOffset()
		require.Equal(t, info.LastOffset+1, end+map[bool]int64{true: 1}[err != nil])
		_, err = l.AppendAsLeader(b, 1<<31-1, now)
		require.True(t, tellable(err), "%v", err)
		if l.LogEndOffset() > 0 {
			got, err := l.Read(nil, 0, l.LogEndOffset(), 1<<30, true)
			require.NoError(t, err)
			require.EqualValues(t, l.Size(), len(got))
		}
	})
}
