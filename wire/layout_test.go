package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLayoutsAreRight: what is learned of a message passes over exactly what
// kmsg encodes, for every key and version, requests and responses, when all is
// there and when nothing is.
func TestLayoutsAreRight(t *testing.T) {
	whole := func(m message, what string) {
		b := m.AppendTo(nil)
		w := walker{b: b}
		require.NoError(t, w.walk(layoutOf(m)), "%s %s v%d", what, keyName(m.Key()), m.GetVersion())
		require.Empty(t, w.b, "%s %s v%d", what, keyName(m.Key()), m.GetVersion())
	}
	forEveryVersion(func(req kmsg.Request) {
		whole(req, "full request")
		resp := req.ResponseKind()
		fill(resp)
		resp.SetVersion(req.GetVersion())
		whole(resp, "full response")

		empty := kmsg.RequestForKey(req.Key())
		empty.SetVersion(req.GetVersion())
		whole(empty, "empty request")
		resp = empty.ResponseKind()
		resp.SetVersion(req.GetVersion())
		whole(resp, "empty response")
	})
}

func TestHostileCounts(t *testing.T) {
	huge := binary.AppendUvarint(nil, math.MaxUint32)
	padding := make([]byte, 8<<20)

	metadataTags := []byte{1 /* no topics */, 0, 0}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version = 17
	fetchBody := fetch.AppendTo(nil)

	for name, c := range map[string]struct {
		req  kmsg.Request
		body []byte
	}{
		"four billion tags":           {&kmsg.MetadataRequest{Version: 12}, append(metadataTags, huge...)},
		"four billion tags in a tag":  {&kmsg.FetchRequest{Version: 17}, append(fetchBody[:len(fetchBody)-1], append([]byte{1, 1, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, huge...)...)},
		"as many topics as bytes":     {&kmsg.ProduceRequest{Version: 3}, append([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff}, padding...)},
		"a negative compact length":   {&kmsg.MetadataRequest{Version: 12}, append(huge, padding[:100]...)},
		"partitions beyond the frame": {&kmsg.ProduceRequest{Version: 3}, append([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'a', 0x7f, 0xff, 0xff, 0xff}, padding[:9]...)},
	} {
		t.Run(name, func(t *testing.T) {
			layoutOf(c.req)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			err := readFrom(c.req, c.body)
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.Less(t, time.Since(began), time.Second)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
		})
	}
}

func TestTooManyItems(t *testing.T) {
	req := &kmsg.ProduceRequest{Version: 3}
	req.Topics = make([]kmsg.ProduceRequestTopic, maxItems+1)
	require.ErrorIs(t, readFrom(&kmsg.ProduceRequest{Version: 3}, req.AppendTo(nil)), errTooMany)
}

func BenchmarkDecodeProduce(b *testing.B) {
	for _, partitions := range []int{1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			req := kmsg.NewPtrProduceRequest()
			req.Version = 9
			topic := kmsg.ProduceRequestTopic{Topic: "orders"}
			for i := range partitions {
				topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: make([]byte, 1000)})
			}
			req.Topics = append(req.Topics, topic)
			body := req.AppendTo(nil)
			b.Run("part=walk", func(b *testing.B) {
				for b.Loop() {
					if layoutOf(req).check(body) != nil {
						b.Fatal("rejected")
					}
				}
			})
			b.Run("part=all", func(b *testing.B) {
				for b.Loop() {
					if readFrom(new(kmsg.ProduceRequest{Version: 9}), body) != nil {
						b.Fatal("rejected")
					}
				}
			})
		})
	}
}
