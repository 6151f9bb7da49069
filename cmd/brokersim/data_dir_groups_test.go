package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A group outlives the command: whoever was a member is the same one, of the same generation,
// and what was committed is where the next member begins.
func TestDataDirKeepsGroups(t *testing.T) {
	args := fmt.Sprintf("up --port %d --listen 127.0.0.1 --data-dir %s -t orders:1:3 -c min.insync.replicas=2", freePorts(t, 3), t.TempDir())
	child, servers := command(t, args)
	client := patient(t, servers, kgo.DefaultProduceTopic("orders"), kgo.MaxVersions(kversion.V3_8_0()))
	m := join(t, client)
	require.Equal(t, int32(1), m.Generation)
	ends := []os.Signal{os.Kill, os.Interrupt, os.Kill}
	for i, end := range ends {
		require.NoError(t, client.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr())
		commit(t, client, m, int64(i+1))
		require.NoError(t, child.Process.Signal(end))
		err := child.Wait()
		require.Equal(t, end == os.Interrupt, err == nil, "%v", err)

		child, _ = command(t, args)
		require.Equal(t, int64(i+1), committed(t, client))
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group, beat.MemberID, beat.Generation = "billing", m.MemberID, m.Generation
		answer(t, func() (int16, error) {
			resp, err := beat.RequestWith(t.Context(), client)
			if err != nil {
				return 0, err
			}
			return resp.ErrorCode, nil
		})
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.Members = "billing", []kmsg.LeaveGroupRequestMember{{MemberID: m.MemberID}}
	answer(t, func() (int16, error) {
		resp, err := leave.RequestWith(t.Context(), client)
		if err != nil {
			return 0, err
		}
		return resp.ErrorCode, nil
	})

	require.NoError(t, client.ProduceSync(t.Context(), kgo.StringRecord("next")).FirstErr())
	next := patient(t, servers, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"))
	require.Equal(t, []string{"next"}, readBack(t, next, 1))
	_, generation := next.GroupMetadata()
	require.Greater(t, generation, m.Generation)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}

// patient is a client that waits for the cluster to come back.
func patient(t *testing.T, servers []string, opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(servers...), kgo.ProducerLinger(0), kgo.RequestRetries(1000),
		kgo.RetryTimeout(20*time.Second), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// join becomes the only member, and assigns nothing.
func join(t *testing.T, client *kgo.Client) *kmsg.JoinGroupResponse {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "billing", 60_000, 60_000
	req.ProtocolType, req.Protocols = "consumer", []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("by hand")}}
	resp, err := req.RequestWith(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, kerr.MemberIDRequired.Code, resp.ErrorCode)
	req.MemberID = resp.MemberID
	resp, err = req.RequestWith(t.Context(), client)
	require.NoError(t, err)
	require.Zero(t, resp.ErrorCode)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = "billing", resp.MemberID, resp.Generation
	sync.ProtocolType, sync.Protocol = resp.ProtocolType, resp.Protocol
	synced, err := sync.RequestWith(t.Context(), client)
	require.NoError(t, err)
	require.Zero(t, synced.ErrorCode)
	return resp
}

// commit commits an offset of orders-0 as a member.
func commit(t *testing.T, client *kgo.Client, m *kmsg.JoinGroupResponse, offset int64) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = "billing", m.MemberID, m.Generation
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset, LeaderEpoch: -1}}}}
	resp, err := req.RequestWith(t.Context(), client)
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
}

// committed is the offset of orders-0 that the group has committed.
func committed(t *testing.T, client *kgo.Client) (offset int64) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = "billing"
	req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "billing"}}
	answer(t, func() (int16, error) {
		resp, err := req.RequestWith(t.Context(), client)
		if err != nil {
			return 0, err
		}
		if resp.Groups[0].ErrorCode != 0 {
			return resp.Groups[0].ErrorCode, nil
		}
		require.Len(t, resp.Groups[0].Topics, 1)
		offset = resp.Groups[0].Topics[0].Partitions[0].Offset
		return 0, nil
	})
	return offset
}

// answer asks until the group has a broker again that has read what it must know. The first
// requests meet connections of before.
func answer(t *testing.T, ask func() (code int16, err error)) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		code, err := ask()
		if err == nil && code == 0 {
			return
		}
		refusal := kerr.ErrorForCode(code)
		require.True(t, refusal == nil || kerr.IsRetriable(refusal), "%v", refusal)
		require.True(t, time.Now().Before(deadline), "%v, %v", err, refusal)
	}
}
