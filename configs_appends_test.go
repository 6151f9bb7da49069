package brokersim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// effectsOnAppends are what becomes of a record that is written.
var effectsOnAppends = []effect{
	{
		config: "compression.type", value: "gzip", without: "none", with: "gzip",
		look: func(t *testing.T, c *brokertest.C) any {
			require.NoError(t, write(t, c, kgo.StringRecord(strings.Repeat("x", 100))))
			return []string{"none", "gzip"}[read(t, c, 1)[0].Attrs.CompressionType()]
		},
	},
	{
		config: "max.message.bytes", value: "1000", without: [2]string{}, with: [2]string{"", "MESSAGE_TOO_LARGE"},
		look: func(t *testing.T, c *brokertest.C) any {
			return [2]string{
				refusal(write(t, c, kgo.StringRecord(strings.Repeat("x", 900)))),
				refusal(write(t, c, kgo.StringRecord(strings.Repeat("x", 1000)))),
			}
		},
	},
	{
		config: "message.timestamp.type", value: "LogAppendTime", without: "as sent", with: "the leader's",
		look: func(t *testing.T, c *brokertest.C) any {
			sent := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
			require.NoError(t, write(t, c, &kgo.Record{Value: []byte("x"), Timestamp: sent}))
			r := read(t, c, 1)[0]
			switch got := r.Timestamp; {
			case got.Equal(sent) && r.Attrs.TimestampType() == 0:
				return "as sent"
			case time.Since(got) < time.Minute && r.Attrs.TimestampType() == 1:
				return "the leader's"
			default:
				return got
			}
		},
	},
	{
		config: "message.timestamp.before.max.ms", value: "60000", without: [2]string{}, with: [2]string{"", "INVALID_TIMESTAMP"},
		look: func(t *testing.T, c *brokertest.C) any {
			return [2]string{writeFrom(t, c, -59*time.Second), writeFrom(t, c, -61*time.Second)}
		},
	},
	{
		config: "message.timestamp.after.max.ms", value: "60000", without: [2]string{}, with: [2]string{"", "INVALID_TIMESTAMP"},
		look: func(t *testing.T, c *brokertest.C) any {
			return [2]string{writeFrom(t, c, 59*time.Second), writeFrom(t, c, 61*time.Second)}
		},
	},
	{
		config: "flush.messages", value: "1", without: "before the disk has it", with: "when the disk has it",
		look: func(t *testing.T, c *brokertest.C) any {
			require.NoError(t, write(t, c, kgo.StringRecord("the first also makes files")))
			c.Broker(1).Disk().Slow(0, time.Second)
			began := time.Now()
			require.NoError(t, write(t, c, kgo.StringRecord("x")))
			if time.Since(began) < time.Second {
				return "before the disk has it"
			}
			return "when the disk has it"
		},
	},
	{
		config: "producer.id.expiration.ms", value: "60000", without: "OUT_OF_ORDER_SEQUENCE_NUMBER", with: "",
		look: func(t *testing.T, c *brokertest.C) any {
			require.Empty(t, writeInSequence(t, c, 0))
			require.NotEmpty(t, writeInSequence(t, c, 5), "remembered for a while")
			time.Sleep(2 * time.Minute)
			return writeInSequence(t, c, 5)
		},
	},
}

// write writes records, each in a batch of its own, without compression and
// without a second try.
func write(t *testing.T, c *brokertest.C, records ...*kgo.Record) error {
	t.Helper()
	cl := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	defer cl.Close()
	for _, r := range records {
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// writeFrom writes a record whose timestamp is that far from now, and returns the refusal.
func writeFrom(t *testing.T, c *brokertest.C, away time.Duration) string {
	t.Helper()
	return refusal(write(t, c, &kgo.Record{Value: []byte("x"), Timestamp: time.Now().Add(away)}))
}

// read reads the first n records.
func read(t *testing.T, c *brokertest.C, n int) (records []*kgo.Record) {
	t.Helper()
	c.Must(brokersim.Committed("orders", 0, int64(n)))
	cl := client(t, c, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for len(records) < n {
		fetches := cl.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

// refusal is the name of the error that a client was answered with.
func refusal(err error) string {
	if answer, ok := errors.AsType[*kerr.Error](err); ok {
		return answer.Message
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
