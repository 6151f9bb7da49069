package brokersim_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/metadata"
)

// effectsOnGroups are who may be a member of a group, and for how long what it has
// committed is kept, and where.
var effectsOnGroups = []effect{
	{
		config: "group.initial.rebalance.delay.ms", value: "7000", without: time.Duration(0), with: 7 * time.Second,
		look: func(t *testing.T, c *brokertest.C) any {
			cl := client(t, c)
			joinAs(t, cl, "first", "", 10*time.Second) // the topic of offsets is there now
			began := time.Now()
			require.Empty(t, joinAs(t, cl, "billing", "a", 10*time.Second))
			return time.Since(began).Round(time.Second)
		},
	},
	{
		config: "group.min.session.timeout.ms", value: "1000", without: "INVALID_SESSION_TIMEOUT", with: "",
		look: func(t *testing.T, c *brokertest.C) any {
			return joinAs(t, client(t, c), "billing", "a", time.Second)
		},
	},
	{
		config: "group.max.session.timeout.ms", value: "20000", without: "", with: "INVALID_SESSION_TIMEOUT",
		look: func(t *testing.T, c *brokertest.C) any {
			return joinAs(t, client(t, c), "billing", "a", 21*time.Second)
		},
	},
	{
		config: "group.max.size", value: "1", without: "", with: "GROUP_MAX_SIZE_REACHED",
		look: func(t *testing.T, c *brokertest.C) any {
			cl := client(t, c)
			require.Empty(t, joinAs(t, cl, "billing", "a", 10*time.Second))
			return joinAs(t, cl, "billing", "b", 10*time.Second) // who is let in waits until the first, which is silent, has expired
		},
	},
	{
		config: "offsets.topic.num.partitions", value: "7", without: 50, with: 7,
		look: func(t *testing.T, c *brokertest.C) any { return len(offsetsTopic(t, c).Partitions) },
	},
	{
		config: "offsets.topic.replication.factor", value: "1", brokers: 2, without: 2, with: 1,
		look: func(t *testing.T, c *brokertest.C) any { return len(offsetsTopic(t, c).Partitions[0].Replicas) },
	},
	{
		config: "offsets.retention.minutes", value: "3", without: "kept", with: "forgotten",
		look: func(t *testing.T, c *brokertest.C) any {
			require.Empty(t, commitAs(t, c, ""))
			time.Sleep(2 * time.Minute)
			require.Equal(t, "kept", offsetAfter(t, c, 0))
			return offsetAfter(t, c, 12*time.Minute) // they are looked at every ten
		},
	},
	{
		// What expires at once is seen to be gone when it is looked at.
		config: "offsets.retention.check.interval.ms", value: "5000", without: "kept", with: "forgotten",
		look: func(t *testing.T, c *brokertest.C) any {
			expireAtOnce(t, c)
			return offsetAfter(t, c, 10*time.Second)
		},
	},
	{
		config: "offset.metadata.max.bytes", value: "10", without: "", with: "OFFSET_METADATA_TOO_LARGE",
		look: func(t *testing.T, c *brokertest.C) any { return commitAs(t, c, strings.Repeat("x", 11)) },
	},
}

// joinAs joins a group as a member would that never heartbeats, and returns the refusal.
func joinAs(t *testing.T, cl *kgo.Client, group, name string, session time.Duration) string {
	t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, int32(session.Milliseconds()), 60_000
	req.ProtocolType, req.Protocols = "consumer", []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte(name)}}
	for {
		resp, err := req.RequestWith(t.Context(), cl)
		require.NoError(t, err)
		err = kerr.ErrorForCode(resp.ErrorCode)
		if err != kerr.MemberIDRequired || name == "" {
			return refusal(err)
		}
		req.MemberID = resp.MemberID
	}
}

// offsetsTopic has __consumer_offsets made.
func offsetsTopic(t *testing.T, c *brokertest.C) kadm.TopicDetail {
	t.Helper()
	commitAs(t, c, "")
	topics, err := kadm.NewClient(client(t, c)).ListTopicsWithInternal(t.Context())
	require.NoError(t, err)
	require.Contains(t, topics, metadata.OffsetsTopic)
	return topics[metadata.OffsetsTopic]
}

// commitAs commits an offset of orders-0, with a note, as a simple consumer, and
// returns the refusal.
func commitAs(t *testing.T, c *brokertest.C, note string) string {
	t.Helper()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "orders", At: 0, LeaderEpoch: -1, Metadata: note})
	committed, err := kadm.NewClient(client(t, c)).CommitOffsets(t.Context(), "billing", offsets)
	require.NoError(t, err)
	return refusal(committed.Error())
}

// expireAtOnce commits an offset of orders-0 that is to be forgotten at once, as clients of
// old could.
func expireAtOnce(t *testing.T, c *brokertest.C) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = "billing", -1, 0
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{LeaderEpoch: -1}}}}
	resp, err := req.RequestWith(t.Context(), client(t, c, kgo.MaxVersions(kversion.V2_0_0())))
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
	c.Must(brokersim.CommittedOffset("billing", "orders", 0, 0))
}

// offsetAfter says what has become of the offset a while later.
func offsetAfter(t *testing.T, c *brokertest.C, while time.Duration) string {
	t.Helper()
	time.Sleep(while)
	offsets, err := kadm.NewClient(client(t, c)).FetchOffsets(context.WithoutCancel(t.Context()), "billing")
	require.NoError(t, err)
	if _, ok := offsets.Lookup("orders", 0); ok {
		return "kept"
	}
	return "forgotten"
}
