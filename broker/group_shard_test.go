package broker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A broker lets a commit in by what it knows of the group, and is held up. Meanwhile another broker
// leads, and then this one again: what has been committed since must not be overwritten.
func TestACommitOfAnEarlierLeadershipIsNotAppended(t *testing.T) {
	late := func(t *testing.T) (wrong string) {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, 3, "offsets.topic.num.partitions=1")
			c.createTopic("orders", [][]int32{{1, 2, 3}})
			q := &caller{t, c, map[int32]*wire.Client{1: c.client(1), 2: c.client(2), 3: c.client(3)}}
			q.at("billing")
			c.await(c.brokers[1], "the topic of offsets is there", func(im *metadata.Image) bool { return im.TopicByName(metadata.OffsetsTopic) != nil })
			p := c.brokers[1].Image().TopicByName(metadata.OffsetsTopic).Partitions[0]
			first, home := c.brokers[p.Replicas[0]], c.brokers[p.Replicas[1]]
			leads := func(b *testBroker) {
				c.eventually(fmt.Sprintf("broker %d leads", b.id), func() bool {
					_, err := b.groups.loaded(t.Context(), "billing")
					return err == nil
				})
			}
			whole := func() {
				c.eventually("every replica is in sync", func() bool { return c.settled(metadata.OffsetsTopic, 3) })
			}
			whole()
			first.kill()
			leads(home)
			first.start()
			whole()
			held, err := home.groups.of("billing")
			require.NoError(t, err)
			c.electPreferred()
			leads(first)
			first.kill()
			leads(home)
			asked := c.client(home.id)
			require.Zero(t, ask[*kmsg.OffsetCommitResponse](t, asked, commitRequest(8, "billing", [16]byte{}, 9)).Topics[0].Partitions[0].ErrorCode)

			commit := offsets.Record{Group: "billing", Place: offsets.Place{Topic: "orders"}, Commit: &offsets.Commit{Offset: 3, LeaderEpoch: -1, Expires: -1, At: time.Now().UnixMilli()}}
			_, err = held.append(context.Background(), []offsets.Record{commit})
			first.start()
			whole()
			c.electPreferred()
			leads(first)
			shard, found := first.groups.loaded(t.Context(), "billing")
			require.NoError(t, found)
			now, found := shard.committed(t.Context(), "billing")
			require.NoError(t, found)
			if offset := now[commit.Place].Offset; err == nil || offset != 9 {
				wrong = fmt.Sprintf("9 was committed in leader epoch 3, and %d is now: what was let in in epoch %d ended with %v", offset, held.epoch, err)
				return
			}
			require.ErrorIs(t, err, metadata.ErrNotCoordinator)
		})
		return wrong
	}
	require.Empty(t, late(t))
	defer guard.AppendInEpoch.Remove()()
	wrong := late(t)
	require.NotEmpty(t, wrong, "it is told as if nothing were missing")
	t.Log(wrong)
}

// electPreferred has the first replica of every partition lead it.
func (c *testCluster) electPreferred() {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = 2, 10_000
	require.Zero(c.t, ask[*kmsg.ElectLeadersResponse](c.t, c.client(c.live()[0].cfg.ID), req).ErrorCode)
}
