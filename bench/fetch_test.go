package bench

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/wire"
)

// How fast is what was written long ago read again, from files? as=limit is read(2) of
// the same file in pieces of 1 MiB, as=log reads the log in such pieces, as=fetch is one
// Fetch request after the other over TCP, by a client that reads each answer into memory
// which it has used before and looks at its offsets only: what is timed are broker and network. as=consumer is
// kgo, which takes new memory for each answer and unpacks every record.
// cache=cold has the operating system forget the file before each pass; an operation
// is a pass over 256 MiB, and MB/s those of the median pass. Where a hypervisor has to find
// the memory for the cache, a pass takes several times as long, whoever reads: the first one over a
// file, which is not timed, and now and then another.
func BenchmarkFetch(b *testing.B) {
	dir := b.TempDir()
	c := brokertest.Start(b, quiet, brokersim.Brokers(1), brokersim.DataDir(dir), brokersim.Topic(topic, 1, 1))
	client := newClient(b, c, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.BrokerMaxReadBytes(64<<20))
	defer client.Close()
	value := make([]byte, 1<<10)
	fill(value)
	const records = 256 << 10
	send(b, client, value, records)
	brokers := filepath.Join(dir, "broker-1", topic+"-0", "00000000000000000000.log")
	alone := b.TempDir()
	l := writeOld(b, alone, brokers)
	own := filepath.Join(alone, "orders-0", "00000000000000000000.log")
	size := sizeOf(b, brokers)
	require.Equal(b, size, sizeOf(b, own))
	conn := wire.NewClient(wire.ClientConfig{ClientID: "bench", OneAtATime: true, Dial: func(ctx context.Context) (net.Conn, error) {
		return c.Dial(ctx, "tcp", c.Broker(1).Addr())
	}})
	defer conn.Close()
	old := oldReads(topicID(b, client))

	for _, cache := range []string{"warm", "cold"} {
		for _, way := range []struct {
			as, file string
			pass     func() int64
		}{
			{"limit", own, func() int64 { return readFile(b, own) }},
			{"log", own, func() int64 { return readLog(b, l) }},
			{"fetch", brokers, func() int64 { return fetchAll(b, conn, old, records) }},
			{"consumer", brokers, func() int64 { consumeAll(b, c, records); return size }},
		} {
			b.Run("cache="+cache+"/as="+way.as, func(b *testing.B) {
				timedPasses(b, size, func() {
					if cache == "cold" {
						forget(b, way.file)
					}
				}, way.pass)
			})
		}
	}
}

// timedPasses times passes over size bytes, but not what is done before each.
func timedPasses(b *testing.B, size int64, before func(), pass func() int64) {
	before()
	require.Equal(b, size, pass())
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		before()
		b.StartTimer()
		began := time.Now()
		require.Equal(b, size, pass())
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(size)/1e6/took[len(took)/2].Seconds(), "MB/s")
}

func sizeOf(b *testing.B, file string) int64 {
	info, err := os.Stat(file)
	require.NoError(b, err)
	return info.Size()
}

// writeOld copies the batches of a file into a log, which has nothing of them in memory
// once it is opened again.
func writeOld(b *testing.B, dir, file string) *partition.Log {
	disk, err := vfs.NewOS(dir)
	require.NoError(b, err)
	l, _, err := partition.Open(disk, "orders-0", partition.Config{})
	require.NoError(b, err)
	old, err := os.ReadFile(file)
	require.NoError(b, err)
	_, err = l.AppendAsFollower(old, 0)
	require.NoError(b, err)
	require.NoError(b, l.Close())
	l, _, err = partition.Open(disk, "orders-0", partition.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	return l
}

func readLog(b *testing.B, l *partition.Log) (n int64) {
	buf := make([]byte, 0, 1<<20)
	for from := int64(0); from < l.LogEndOffset(); {
		var err error
		if buf, err = l.Read(buf[:0], from, l.LogEndOffset(), 1<<20, true); err != nil {
			b.Fatal(err)
		}
		for batch := range partition.Batches(buf) {
			from = batch.NextOffset()
		}
		n += int64(len(buf))
	}
	return n
}

func readFile(b *testing.B, name string) (n int64) {
	f, err := os.Open(name)
	require.NoError(b, err)
	defer f.Close()
	for buf := make([]byte, 1<<20); ; {
		k, err := f.Read(buf)
		n += int64(k)
		if err == io.EOF {
			return n
		}
		require.NoError(b, err)
	}
}

// fetchAll asks for 1 MiB at a time and looks at offsets only.
func fetchAll(b *testing.B, conn *wire.Client, req *kmsg.FetchRequest, records int64) (n int64) {
	want := &req.Topics[0].Partitions[0]
	for want.FetchOffset = 0; want.FetchOffset < records; {
		answer, err := conn.Borrow(context.Background(), req, 0)
		require.NoError(b, err)
		got := answer.Response.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		require.NoError(b, kerr.ErrorForCode(got.ErrorCode))
		for batch := range partition.Batches(answer.Records[0][0].Bytes()) {
			want.FetchOffset = batch.NextOffset()
			n += batch.Size()
		}
		answer.GiveBack()
	}
	return n
}

// oldReads is the request that fetchAll makes.
func oldReads(id [16]byte) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.MinBytes, req.SessionEpoch = 16, 8<<20, 1, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func topicID(b *testing.B, client *kgo.Client) [16]byte {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(context.Background(), client)
	require.NoError(b, err)
	return resp.Topics[0].TopicID
}

func consumeAll(b *testing.B, c *brokertest.C, records int64) {
	consumer := newClient(b, c, kgo.ConsumeTopics(topic))
	defer consumer.Close()
	for next := int64(0); next < records; {
		fetches := consumer.PollFetches(context.Background())
		require.NoError(b, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				b.Fatalf("offset %d instead of %d", r.Offset, next)
			}
			next++
		})
	}
}
