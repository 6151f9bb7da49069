package brokersim_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/wire"
)

// rot flips one bit in the middle of a broker's log of orders-0.
func rot(t *testing.T, b *brokersim.Broker) {
	time.Sleep(15 * time.Second) // until what lies in the middle is not in memory any more
	files := brokersim.FilesOf(b)
	f, err := files.Open("orders-0/00000000000000000000.log")
	require.NoError(t, err)
	defer f.Close()
	size, err := f.Size()
	require.NoError(t, err)
	text := make([]byte, size)
	_, err = f.ReadAt(text, 0)
	require.NoError(t, err)
	at := int64(0)
	for batch := range partition.Batches(text) {
		if at += batch.Size(); at > size/2 {
			break
		}
	}
	at-- // the last byte of a batch in the middle
	_, err = f.WriteAt([]byte{text[at] ^ 0x10}, at)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

// S20: a bit of a committed record flips on the disk of a broker that is down. The
// broker notices when it comes back. It is not trusted with what it has, takes
// everything behind the damage from the leader, and deletes nothing of anybody else's.
func TestS20RottenDisk(t *testing.T) {
	for name, choose := range map[string]func(c *brokertest.C) *brokersim.Broker{
		"of a follower":   func(c *brokertest.C) *brokersim.Broker { return c.Followers("orders", 0)[0] },
		"of the leader":   func(c *brokertest.C) *brokersim.Broker { return c.Leader("orders", 0) },
		"of the last one": nil,
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, c *brokertest.C) {
				l := startLoad(t, c, "orders")
				time.Sleep(300 * time.Millisecond)
				if choose != nil {
					rotten := choose(c)
					require.NoError(t, rotten.Kill())
					c.Must(brokersim.NotInISR("orders", 0, rotten.ID()))
					rot(t, rotten)
					require.NoError(t, rotten.Start())
				} else {
					l.stop()
					rotten, others := c.Leader("orders", 0), c.Followers("orders", 0)
					require.NoError(t, others[0].Kill())
					c.Must(brokersim.NotInISR("orders", 0, others[0].ID()))
					require.NoError(t, others[1].Kill())
					c.Must(brokersim.ISR("orders", 0, rotten.ID()))
					require.NoError(t, rotten.Kill())
					c.Must(brokersim.NoLeader("orders", 0))
					rot(t, rotten)
					require.NoError(t, rotten.Start())
					require.NoError(t, others[0].Start())
					c.Must(brokersim.Registered(rotten.ID(), brokersim.Unfenced))
					time.Sleep(3 * time.Second)
					require.Equal(t, int32(-1), c.Partition("orders", 0).Leader, "rather nobody")
					require.NoError(t, others[1].Start())
					c.Must(brokersim.LedBy("orders", 0, others[1].ID()))
				}
				c.Must(brokersim.FullISR())
				l.stop()
				require.Empty(t, electedUncleanly(t, c))
				l.kept(t)
				c.Must(brokersim.Replicated("orders", 0, int64(len(l.acked))))
			}, orders())
		})
	}
}

// A bit flips below a running leader, in what it wrote itself. Whoever reads there first is
// told nothing wrong: the leader stops and names the place, another one leads, and the
// reader goes on from it without a gap. When the broker comes back it claims nothing,
// and fetches what was damaged.
func TestRotBelowARunningLeader(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startLoad(t, c, "orders")
		time.Sleep(2 * time.Second)
		rotten := c.Leader("orders", 0)
		epoch := brokerState(t, c, rotten).Epoch
		rot(t, rotten)
		n := int(c.Partition("orders", 0).HighWatermark)
		read := consume(t, c, "orders", n)
		failed(t, c, rotten, "orders-0/00000000000000000000.log is corrupt at byte ", "its checksum is wrong")
		require.NoError(t, rotten.Start())
		equalAgain(t, c, l)
		require.Equal(t, l.acked[:n], read[:n])
		require.Equal(t, false, registered(t, c, rotten, epoch).Data["clean"])
		require.Empty(t, electedUncleanly(t, c))
		require.Equal(t, 2, count(t, c, event.LogDamaged), "found by a read, and at the start")
	}, orders())
}

// The rotten leader is alone in the ISR. It is the best there is: it goes on, says of the
// damaged record that it is damaged, and serves all others as they were.
func TestRotBelowALeaderThatIsAlone(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startLoad(t, c, "orders")
		time.Sleep(2 * time.Second)
		l.stop()
		c.Must(brokersim.Replicated("orders", 0, int64(len(l.acked))))
		for _, b := range c.Followers("orders", 0) {
			require.NoError(t, b.Kill())
			c.Must(brokersim.NotInISR("orders", 0, b.ID()))
		}
		rotten := c.Leader("orders", 0)
		c.Must(func(s brokersim.Snapshot) (bool, string) {
			p, _ := s.Partition("orders", 0)
			return len(p.MaximalISR) == 1, "the leader to know that it is alone"
		})
		rot(t, rotten)
		cl := wire.NewClient(wire.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, "tcp", rotten.Addr()) }})
		defer cl.Close()
		corrupt := 0
		for at := range l.acked {
			resp, err := cl.Do(t.Context(), fetchOne(int64(at)))
			require.NoError(t, err)
			p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
			if p.ErrorCode == kerr.CorruptMessage.Code {
				require.Empty(t, p.RecordBatches)
				corrupt++
				continue
			}
			require.Zero(t, p.ErrorCode)
			batch := p.RecordBatches
			sum := crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli))
			require.Equal(t, binary.BigEndian.Uint32(batch[17:]), sum, "offset %d", at)
			require.Contains(t, string(batch), l.acked[at])
		}
		require.Equal(t, 1, corrupt)
		require.True(t, rotten.Process().Up())
		require.Equal(t, 1, count(t, c, event.LogDamaged), "it is told once")

		// The others, which lack nothing, come back: now the leader goes, and nobody needs to ask.
		for _, b := range c.Brokers() {
			if b != rotten {
				require.NoError(t, b.Start())
			}
		}
		c.Must(brokersim.NewLeader("orders", 0, rotten.ID()))
		failed(t, c, rotten, "its checksum is wrong")
		require.Equal(t, l.acked, consume(t, c, "orders", len(l.acked)))
		require.NoError(t, rotten.Start())
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	}, orders())
}

// fetchOne asks for the batch at an offset of orders-0.
func fetchOne(offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch = 12, 1, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "orders", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return req
}
