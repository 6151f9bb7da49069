package kafka

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/brokersim/brokersim"
)

// Kafka's tool reads what groups have committed, on every broker: whatever may be in a
// commit, what was deleted, and what a new leader writes.
func TestDumpCommittedOffsets(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	c, err := brokersim.New(t.Context(), brokersim.DataDir(dir), brokersim.Topic("one", 3, 3), brokersim.Topic("two", 1, 3),
		brokersim.BrokerConfig("offsets.topic.num.partitions=3"))
	require.NoError(t, err)
	defer c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...))
	require.NoError(t, err)
	defer cl.Close()
	g := committer{t, cl, kadm.NewClient(cl)}
	want := map[string]kadm.OffsetResponses{}
	for i := range 12 {
		group := fmt.Sprint("group-", i)
		g.commit(group, "one", 0, int64(i), "", -1)
		g.commit(group, "one", 1, int64(10*i), "a note: «¼» \"{\"", -1)
		g.commit(group, "one", 1, int64(11*i), "a newer one", -1)
		g.expiring(group, "one", 2)
		g.commit(group, "two", 0, 1<<62, strings.Repeat("x", 4096), 7)
	}
	_, err = g.adm.DeleteOffsets(t.Context(), "group-1", kadm.TopicsSet{"two": {0: {}}})
	require.NoError(t, err)
	_, err = g.adm.DeleteGroup(t.Context(), "group-2")
	require.NoError(t, err)
	old := c.Leader("__consumer_offsets", 0)
	require.NoError(t, old.Kill())
	require.NoError(t, c.Wait(t.Context(), brokersim.NewLeader("__consumer_offsets", 0, old.ID())))
	require.NoError(t, old.Start())
	require.NoError(t, c.Wait(t.Context(), brokersim.FullISR()))
	for i := range 12 {
		group := fmt.Sprint("group-", i)
		g.commit("later", "one", 0, int64(i), "", 1)
		if want[group], err = g.adm.FetchOffsets(t.Context(), group); len(want[group]) == 0 {
			delete(want, group)
		}
		require.NoError(t, err)
	}
	want["later"], err = g.adm.FetchOffsets(t.Context(), "later")
	require.NoError(t, err)
	require.Len(t, want, 12)
	require.NoError(t, c.Close())

	for id := range 3 {
		broker := filepath.Join(dir, fmt.Sprint("broker-", id+1))
		logs, err := filepath.Glob(filepath.Join(broker, "__consumer_offsets-*", "*.log"))
		require.NoError(t, err)
		require.Len(t, logs, 3)
		out, complaints := dumpTool(t, logs, "--offsets-decoder")
		require.Empty(t, complaints)
		require.Equal(t, shownCommits(want), decodedCommits(t, recordsIn(t, out)), broker)
		indexes, err := filepath.Glob(filepath.Join(broker, "__consumer_offsets-*", "*index"))
		require.NoError(t, err)
		_, complaints = dumpTool(t, indexes, "--index-sanity-check")
		require.Empty(t, complaints)
	}
}

type committer struct {
	t   *testing.T
	cl  *kgo.Client
	adm *kadm.Client
}

func (g committer) commit(group, topic string, partition int32, at int64, note string, epoch int32) {
	g.t.Helper()
	o := kadm.Offsets{}
	o.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: epoch, Metadata: note})
	rs, err := g.adm.CommitOffsets(g.t.Context(), group, o)
	require.NoError(g.t, err)
	require.NoError(g.t, rs.Error())
}

// expiring commits as clients did that said how long: that has another format.
func (g committer) expiring(group, topic string, partition int32) {
	g.t.Helper()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata = partition, 5, kmsg.StringPtr("for an hour")
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = group, -1, 3_600_000
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	old, err := kgo.NewClient(append(g.cl.Opts(), kgo.MaxVersions(kversion.V2_0_0()))...)
	require.NoError(g.t, err)
	defer old.Close()
	resp, err := req.RequestWith(g.t.Context(), old)
	require.NoError(g.t, err)
	require.Zero(g.t, resp.Topics[0].Partitions[0].ErrorCode)
}

// shownCommits is what the tool is to show of what groups have committed.
func shownCommits(all map[string]kadm.OffsetResponses) map[string]string {
	shown := map[string]string{}
	for group, rs := range all {
		rs.Each(func(o kadm.OffsetResponse) {
			shown[fmt.Sprintf("%s %s-%d", group, o.Topic, o.Partition)] = fmt.Sprint(o.At, " ", o.LeaderEpoch, " ", o.Metadata)
		})
	}
	return shown
}

// decodedCommits is what is left of what the tool has decoded, by group and partition.
func decodedCommits(t *testing.T, files map[string][]record) map[string]string {
	t.Helper()
	kept, deleted := map[string]string{}, 0
	for _, records := range files {
		for _, r := range records {
			var key struct {
				Type string
				Data struct {
					Group, Topic string
					Partition    int32
				}
			}
			keyText, gone := strings.CutSuffix(r.key, " payload: <DELETE>")
			require.NoError(t, json.Unmarshal([]byte(keyText), &key), r.key)
			at := fmt.Sprintf("%s %s-%d", key.Data.Group, key.Data.Topic, key.Data.Partition)
			if gone {
				deleted++
				delete(kept, at)
				continue
			}
			require.Equal(t, "1", key.Type)
			var value struct {
				Version string
				Data    struct {
					Offset      int64
					LeaderEpoch *int32
					Metadata    string
				}
			}
			require.NoError(t, json.Unmarshal([]byte(r.value), &value), r.value)
			epoch := int32(-1) // the older format has none
			if value.Data.LeaderEpoch != nil {
				epoch = *value.Data.LeaderEpoch
			}
			kept[at] = fmt.Sprint(value.Data.Offset, " ", epoch, " ", value.Data.Metadata)
		}
	}
	require.Greater(t, deleted, 3+4, "a leader's first record in each, and what was deleted")
	return kept
}
