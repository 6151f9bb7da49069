package broker

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/wire"
)

// A producer sends the last five batches again to a broker that has come back,
// stopped in good order or killed: it recognises each one, though retention has
// taken the records of some, and knows where the producer goes on.
func TestARestartedBrokerRecognisesRetries(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c *cluster, n *node){
		"stopped": func(t *testing.T, c *cluster, n *node) {
			require.NoError(t, n.broker.Stop())
			c.kill(n)
		},
		"stopped, and the power went": func(t *testing.T, c *cluster, n *node) {
			require.NoError(t, n.broker.Stop())
			c.powerOff(n)
		},
		"killed": func(_ *testing.T, c *cluster, n *node) { c.kill(n) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
				c.unfenced()
				c.createTopic("orders", 1, 1, "segment.bytes", "1048576", "retention.bytes", "1")
				n := c.brokers[1]
				send := func(sequence int32) kmsg.ProduceResponseTopicPartition {
					client := c.dial(1)
					defer client.Close()
					return produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1, idempotent(sequence)))
				}
				for sequence := range int32(7) {
					a := send(sequence)
					require.Zero(t, a.ErrorCode)
					require.EqualValues(t, sequence, a.BaseOffset)
				}
				time.Sleep(10 * time.Minute) // retention has been at work
				start := c.replica(n.broker, "orders", 0).Log().LogStartOffset()
				require.Positive(t, start)

				end(t, c, n)
				c.start(1)
				c.eventually("it leads again", func() bool { return c.leader("orders", 0) != nil })
				for sequence := int32(2); sequence < 7; sequence++ {
					a := send(sequence)
					require.Zero(t, a.ErrorCode, "sequence %d", sequence)
					require.EqualValues(t, sequence, a.BaseOffset)
				}
				require.Equal(t, kerr.OutOfOrderSequenceNumber.Code, send(9).ErrorCode)
				require.EqualValues(t, 7, send(7).BaseOffset)
				c.nothingFailed()
			})
		})
	}
}

// idempotent is a batch of one large record.
func idempotent(sequence int32) []byte {
	return batchOf([]string{strings.Repeat("v", 400_000)}, func(b *kmsg.RecordBatch) {
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = 7, 0, sequence
	})
}

// dial is a client's connection to a broker.
func (c *cluster) dial(id int32) *wire.Client {
	return wire.NewClient(wire.ClientConfig{ClientID: "test", Dial: func(ctx context.Context) (net.Conn, error) {
		return c.net.Host("client").DialContext(ctx, "tcp", c.brokers[id].host.Name()+":9092")
	}})
}

// Kafka's file of the recovery points is there for whoever looks.
func TestRecoveryPointsAreWritten(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 2, 1)
		n := c.brokers[1]
		on := func() string {
			text, err := vfs.ReadFile(n.disk, recoveryPointsFile)
			require.NoError(t, err)
			return string(text)
		}
		time.Sleep(recoveryPointsEvery + checkpointEvery)
		require.Equal(t, "0\n2\norders 0 0\norders 1 0\n", on())
		c.write(n.broker, "orders", 1, "a")
		time.Sleep(recoveryPointsEvery + checkpointEvery)
		require.Equal(t, "0\n2\norders 0 0\norders 1 0\n", on(), "nobody has synced it")
		require.NoError(t, n.broker.Stop())
		require.Equal(t, "0\n2\norders 0 0\norders 1 1\n", on())
		c.kill(n)
		c.start(1)
		c.eventually("it leads again", func() bool { return c.leader("orders", 1) != nil })
		require.EqualValues(t, 1, c.replica(n.broker, "orders", 1).Log().RecoveryPoint())
	})
}
