package broker

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// slowSyncs is a cluster whose first broker takes a second for each sync from now on,
// and a connection to it.
func slowSyncs(t *testing.T, n int, replicas [][]int32) (*testCluster, net.Conn) {
	c := startCluster(t, n, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
	c.createTopic("orders", replicas, "min.insync.replicas=1", "flush.messages=1")
	for p := range replicas { // the first also makes files
		require.Zero(t, produced1(t, c.client(1), produceRequest(8, "orders", [16]byte{}, int32(p), -1, one("first"))).ErrorCode)
	}
	c.cluster.brokers[1].faults.SlowBy(0, time.Second)
	conn, err := c.net.Host("clients").DialContext(context.Background(), "tcp", "broker-1:9092")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return c, conn
}

// leo is what the first broker's log of a partition shows.
func (c *testCluster) leo(partition int32) int64 {
	return c.replica(c.brokers[1].Broker, "orders", partition).Log().LogEndOffset()
}

// Requests of one connection share syncs: what is written while the first one's runs
// is synced together. Answers keep their order.
func TestOneConnectionSharesSyncs(t *testing.T) {
	for _, acks := range []int16{1, -1} {
		synctest.Test(t, func(t *testing.T) {
			c, conn := slowSyncs(t, 1, [][]int32{{1}})
			began := time.Now()
			for i := range int32(5) {
				_, err := conn.Write(appendFrame(i, produceRequest(8, "orders", [16]byte{}, 0, acks, one("x"))))
				require.NoError(t, err)
				synctest.Wait()
			}
			require.EqualValues(t, 1, c.leo(0), "nothing is shown yet")
			for i := range int32(5) {
				id, body := readFrame(t, conn)
				require.Equal(t, i, id)
				resp := kmsg.NewPtrProduceResponse()
				resp.Version = 8
				require.NoError(t, resp.ReadFrom(body))
				require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
				require.EqualValues(t, i+1, resp.Topics[0].Partitions[0].BaseOffset)
				require.Equal(t, time.Duration(min(i, 1)+1)*time.Second, time.Since(began))
			}
		})
	}
}

// acks=0 asks for no answer, and is synced like all others.
func TestAcksZeroIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, conn := slowSyncs(t, 1, [][]int32{{1}})
		_, err := conn.Write(appendFrame(1, produceRequest(8, "orders", [16]byte{}, 0, 0, one("x"))))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		synctest.Wait()
		require.EqualValues(t, 1, c.leo(0))
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, c.leo(0))
		require.EqualValues(t, 2, c.brokers[1].Replicas()[0].HighWatermark)
	})
}

// A batch is synced although the connection's answer before is not ready yet.
func TestASyncDoesNotWaitForItsTurnToBeAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, conn := slowSyncs(t, 3, [][]int32{{1, 2}, {1, 3}})
		c.brokers[2].powerOff() // silent: partition 0 waits until its session ends
		for partition := range int32(2) {
			req := produceRequest(8, "orders", [16]byte{}, partition, -1, one("x"))
			req.TimeoutMillis = 60000
			_, err := conn.Write(appendFrame(partition, req))
			require.NoError(t, err)
		}
		time.Sleep(1100 * time.Millisecond)
		require.EqualValues(t, 2, c.leo(1))
		require.EqualValues(t, 2, c.replica(c.brokers[1].Broker, "orders", 1).HighWatermark())
		require.EqualValues(t, 1, c.replica(c.brokers[1].Broker, "orders", 0).HighWatermark())
		for partition := range int32(2) {
			id, _ := readFrame(t, conn)
			require.Equal(t, partition, id)
		}
	})
}
