package bench

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// What does it cost to have each record on the disk before it is acknowledged, and
// what do producers gain who share syncs? One partition with flush.messages=1, records
// of 1 KiB, each in a batch of its own; a producer waits for each ack.
//
// x-raw is acks per second, counted in raw syncs per second: the same bytes written to
// a file and synced one after the other, before and after, in the same run.
func BenchmarkFsync(b *testing.B) {
	for _, producers := range []int{1, 64} {
		b.Run(fmt.Sprintf("on=log/producers=%d", producers), func(b *testing.B) { fsyncLog(b, producers) })
	}
	for _, rf := range []int{1, 3} {
		for _, producers := range []int{1, 64} {
			b.Run(fmt.Sprintf("on=cluster/rf=%d/producers=%d", rf, producers), func(b *testing.B) { fsyncCluster(b, rf, producers) })
		}
	}
}

// fsyncLog appends to a log.
func fsyncLog(b *testing.B, producers int) {
	root, err := vfs.NewOS(b.TempDir())
	require.NoError(b, err)
	disk := &countedFS{FS: root}
	cfg := partition.Config{FlushMessages: 1, TimestampBeforeMax: 1 << 62}
	l, _, err := partition.Open(disk, "orders-0", cfg)
	require.NoError(b, err)
	now := time.UnixMilli(batchtest.Timestamp)
	synced := measured(b, producers, func(int) func() error {
		batch := batchtest.Sized(1, 1024)
		return func() error {
			info, err := l.AppendAsLeader(batch, 0, now)
			if err != nil {
				return err
			}
			return l.AwaitSynced(info)
		}
	}, disk.syncs.Load)
	b.ReportMetric(float64(b.N)/float64(synced), "acks/fsync")
	require.EqualValues(b, b.N, l.LogEndOffset())
	require.NoError(b, l.Close())
	l, found, err := partition.Open(disk, "orders-0", cfg)
	require.NoError(b, err)
	require.Equal(b, partition.Recovery{LogEndOffset: int64(b.N)}, found)
	require.NoError(b, l.Close())
}

// fsyncCluster has a client for each producer, so that none fills the batches of
// another one.
func fsyncCluster(b *testing.B, rf, producers int) {
	c := brokertest.Start(b, brokersim.DataDir(b.TempDir()), brokersim.Topic(topic, 1, rf, "flush.messages=1"))
	measured(b, producers, func(int) func() error {
		client := newClient(b, c)
		b.Cleanup(client.Close)
		record := &kgo.Record{Value: make([]byte, 1024)}
		require.NoError(b, client.Ping(context.Background()))
		return func() error {
			return client.ProduceSync(context.Background(), &kgo.Record{Value: record.Value}).FirstErr()
		}
	}, func() int64 { return 0 })
	require.EqualValues(b, b.N, c.Partition(topic, 0).HighWatermark)
	c.Must(brokersim.Replicated(topic, 0, int64(b.N)))
}

// measured has b.N things done by producers at once, and reports how many a second,
// beside raw syncs. It returns by how much count has grown.
func measured(b *testing.B, producers int, producer func(i int) func() error, count func() int64) (grown int64) {
	todo := make([]func() error, producers)
	for i := range todo {
		todo[i] = producer(i)
	}
	raw := rawSyncs(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	before := count()
	b.ResetTimer()
	var all sync.WaitGroup
	for _, do := range todo {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	grown = count() - before
	raw = (raw + rawSyncs(b)) / 2
	acks := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(acks, "acks/s")
	b.ReportMetric(raw, "raw-fsyncs/s")
	b.ReportMetric(acks/raw, "x-raw")
	return grown
}

// rawSyncs writes batches to a file and syncs each, and returns how many a second.
func rawSyncs(b *testing.B) (perSecond float64) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	require.NoError(b, err)
	defer f.Close()
	batch, n := batchtest.Sized(1, 1024), 0
	began := time.Now()
	for time.Since(began) < 300*time.Millisecond || n < 20 {
		if _, err := f.WriteAt(batch, int64(n)*int64(len(batch))); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		n++
	}
	perSecond = float64(n) / time.Since(began).Seconds()
	info, err := f.Stat()
	require.NoError(b, err)
	require.EqualValues(b, n*len(batch), info.Size())
	return perSecond
}

// A countedFS counts the syncs of files with batches.
type countedFS struct {
	vfs.FS
	syncs atomic.Int64
}

func (d *countedFS) Open(name string) (vfs.File, error)   { return d.count(name, d.FS.Open) }
func (d *countedFS) Create(name string) (vfs.File, error) { return d.count(name, d.FS.Create) }

func (d *countedFS) count(name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	f, err := open(name)
	if err != nil || path.Ext(name) != ".log" {
		return f, err
	}
	return &countedFile{f, d}, nil
}

type countedFile struct {
	vfs.File
	disk *countedFS
}

func (f *countedFile) Sync() error {
	f.disk.syncs.Add(1)
	return f.File.Sync()
}
