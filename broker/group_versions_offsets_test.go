package broker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

func TestGroupVersionsOfOffsetCommit(t *testing.T) {
	inEveryVersion(t, kmsg.OffsetCommit, func(q *caller, v int16) {
		group := named("commit", v)
		id := q.c.brokers[1].Image().TopicByName("orders").ID
		commitTo := func(client func(string) *wire.Client, group string, change func(*kmsg.OffsetCommitRequest)) (codes []int16) {
			req := commitRequest(v, group, id, 7)
			change(req)
			resp := ask[*kmsg.OffsetCommitResponse](q.T, client(group), req)
			require.Len(q, resp.Topics, len(req.Topics))
			for i, t := range resp.Topics {
				if v < 10 {
					require.Equal(q, req.Topics[i].Topic, t.Topic)
				} else {
					require.Equal(q, req.Topics[i].TopicID, t.TopicID)
				}
				require.Len(q, t.Partitions, len(req.Topics[i].Partitions))
				for n, p := range t.Partitions {
					require.Equal(q, req.Topics[i].Partitions[n].Partition, p.Partition)
					codes = append(codes, p.ErrorCode)
				}
			}
			return codes
		}
		commit := func(want *kerr.Error, group string, change func(*kmsg.OffsetCommitRequest)) {
			q.Helper()
			q.code(want, commitTo(q.at, group, change)[0])
		}
		as := func(member string, generation int32) func(*kmsg.OffsetCommitRequest) {
			return func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = member, generation }
		}
		nobody := as("", -1)
		commit(nil, group, nobody)
		commit(nil, "", nobody) // a simple consumer may have no name
		require.Empty(q, commitTo(q.at, group, func(r *kmsg.OffsetCommitRequest) { r.Topics = nil }))
		q.code(kerr.NotCoordinator, commitTo(q.other, group, nobody)[0])
		if v < 9 {
			commit(kerr.IllegalGeneration, "nobody", as("me", 1))
		} else {
			commit(kerr.GroupIDNotFound, "nobody", as("me", 1))
		}
		commit(nil, named("simple", v), as("me", -1)) // as Kafka: who names no generation needs no group
		codes := commitTo(q.at, group, func(r *kmsg.OffsetCommitRequest) {
			ps := &r.Topics[0].Partitions
			*ps = append(*ps, (*ps)[0], (*ps)[0], (*ps)[0])
			(*ps)[1].Partition = 9
			(*ps)[2].Metadata = kmsg.StringPtr(strings.Repeat("x", 4097))
			(*ps)[3].Metadata = nil
			unknown := r.Topics[0]
			unknown.Topic, unknown.TopicID, unknown.Partitions = "nosuch", [16]byte{9}, unknown.Partitions[:1]
			r.Topics = append(r.Topics, unknown)
		})
		missing := kerr.UnknownTopicOrPartition
		if v >= 10 {
			missing = kerr.UnknownTopicID
		}
		for i, want := range []*kerr.Error{nil, kerr.UnknownTopicOrPartition, kerr.OffsetMetadataTooLarge, nil, missing} {
			q.code(want, codes[i], i)
		}
		member, generation := q.join(group)
		commit(kerr.RebalanceInProgress, group, as(member, generation))
		q.leave(group, member)
		member, generation = q.stable(group)
		commit(nil, group, as(member, generation))
		commit(kerr.IllegalGeneration, group, as(member, generation-1))
		commit(kerr.UnknownMemberID, group, as("me", generation))
		commit(kerr.UnknownMemberID, group, nobody)
		if v >= 7 {
			commit(kerr.UnknownMemberID, group, func(r *kmsg.OffsetCommitRequest) {
				r.MemberID, r.Generation, r.InstanceID = member, generation, kmsg.StringPtr("i")
			})
		}
	})
}

func TestGroupVersionsOfOffsetFetch(t *testing.T) {
	inEveryVersion(t, kmsg.OffsetFetch, func(q *caller, v int16) {
		group := named("fetch", v)
		q.commit(group, 7)
		q.commit("", 3)
		id := q.c.brokers[1].Image().TopicByName("orders").ID
		// What is told of a group in any version, in the words of version 8.
		fetch := func(client *wire.Client, group string, topics []kmsg.OffsetFetchRequestGroupTopic) kmsg.OffsetFetchResponseGroup {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Version, req.RequireStable = v, true
			req.Group, req.Groups = group, []kmsg.OffsetFetchRequestGroup{{Group: group, Topics: topics, MemberEpoch: -1}}
			for _, t := range topics {
				req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: t.Topic, Partitions: t.Partitions})
			}
			if topics != nil && req.Topics == nil {
				req.Topics = []kmsg.OffsetFetchRequestTopic{}
			}
			resp := ask[*kmsg.OffsetFetchResponse](q.T, client, req)
			if v >= 8 {
				require.Len(q, resp.Groups, 1)
				require.Equal(q, group, resp.Groups[0].Group)
				return resp.Groups[0]
			}
			g := kmsg.OffsetFetchResponseGroup{Group: group, ErrorCode: resp.ErrorCode}
			for _, t := range resp.Topics {
				topic := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
				for _, p := range t.Partitions {
					topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition(p))
				}
				g.Topics = append(g.Topics, topic)
			}
			return g
		}
		named := func(name string, id [16]byte, partitions ...int32) []kmsg.OffsetFetchRequestGroupTopic {
			return []kmsg.OffsetFetchRequestGroupTopic{{Topic: name, TopicID: id, Partitions: partitions}}
		}
		epoch := int32(-1)
		if v >= 5 {
			epoch = 0
		}
		committed := func(offset int64) kmsg.OffsetFetchResponseGroupTopicPartition {
			return kmsg.OffsetFetchResponseGroupTopicPartition{Offset: offset, LeaderEpoch: epoch, Metadata: kmsg.StringPtr("note")}
		}
		none := func(p int32) kmsg.OffsetFetchResponseGroupTopicPartition {
			return kmsg.OffsetFetchResponseGroupTopicPartition{Partition: p, Offset: -1, LeaderEpoch: -1, Metadata: kmsg.StringPtr("")}
		}
		found := func(g kmsg.OffsetFetchResponseGroup, want ...kmsg.OffsetFetchResponseGroupTopicPartition) {
			q.Helper()
			q.code(nil, g.ErrorCode)
			require.Len(q, g.Topics, 1)
			if v < 10 {
				require.Equal(q, "orders", g.Topics[0].Topic)
			} else {
				require.EqualValues(q, id, g.Topics[0].TopicID)
			}
			require.Equal(q, want, g.Topics[0].Partitions)
		}
		found(fetch(q.at(group), group, named("orders", id, 0, 1, 9)), committed(7), none(1), none(9))
		found(fetch(q.at(""), "", named("orders", id, 0)), committed(3))
		found(fetch(q.at("nobody"), "nobody", named("orders", id, 0)), none(0))
		require.Empty(q, fetch(q.at(group), group, []kmsg.OffsetFetchRequestGroupTopic{}).Topics)
		unknown := fetch(q.at(group), group, named("nosuch", [16]byte{9}, 0)).Topics[0].Partitions[0]
		if v >= 10 {
			q.code(kerr.UnknownTopicID, unknown.ErrorCode)
		} else {
			require.Equal(q, none(0), unknown)
		}
		astray := fetch(q.other(group), group, named("orders", id, 0))
		if v < 2 {
			require.Len(q, astray.Topics, 1)
			want := none(0)
			want.ErrorCode = kerr.NotCoordinator.Code
			require.Equal(q, want, astray.Topics[0].Partitions[0])
			return // null does not ask for all
		}
		q.code(kerr.NotCoordinator, astray.ErrorCode)
		require.Empty(q, astray.Topics)
		found(fetch(q.at(group), group, nil), committed(7))
		all := fetch(q.at("nobody"), "nobody", nil)
		q.code(nil, all.ErrorCode)
		require.Empty(q, all.Topics)
	})
}

func TestGroupVersionsOfOffsetDelete(t *testing.T) {
	inEveryVersion(t, kmsg.OffsetDelete, func(q *caller, v int16) {
		del := func(client *wire.Client, group string, topics ...string) *kmsg.OffsetDeleteResponse {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Version, req.Group = v, group
			for _, t := range topics {
				req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 9}}})
			}
			return ask[*kmsg.OffsetDeleteResponse](q.T, client, req)
		}
		for group, want := range map[string]*kerr.Error{"": kerr.InvalidGroupID, "nobody": kerr.GroupIDNotFound} {
			resp := del(q.at(group), group, "orders")
			q.code(want, resp.ErrorCode)
			require.Empty(q, resp.Topics)
		}
		q.code(kerr.NotCoordinator, del(q.other("nobody"), "nobody", "orders").ErrorCode)

		q.commit("simple", 7)
		answer := func(topic string, codes ...*kerr.Error) kmsg.OffsetDeleteResponseTopic {
			t := kmsg.OffsetDeleteResponseTopic{Topic: topic}
			for i, c := range codes {
				p := kmsg.OffsetDeleteResponseTopicPartition{Partition: int32(9 * i)}
				if c != nil {
					p.ErrorCode = c.Code
				}
				t.Partitions = append(t.Partitions, p)
			}
			return t
		}
		missing := kerr.UnknownTopicOrPartition
		resp := del(q.at("simple"), "simple", "orders", "nosuch")
		q.code(nil, resp.ErrorCode)
		require.Equal(q, []kmsg.OffsetDeleteResponseTopic{answer("orders", nil, missing), answer("nosuch", missing, missing)}, resp.Topics)

		member, _ := q.stable("members")
		resp = del(q.at("members"), "members", "orders")
		q.code(nil, resp.ErrorCode)
		require.Equal(q, []kmsg.OffsetDeleteResponseTopic{answer("orders", kerr.GroupSubscribedToTopic, missing)}, resp.Topics)
		q.leave("members", member)
		q.code(nil, del(q.at("members"), "members", "orders").Topics[0].Partitions[0].ErrorCode)
		workers := joinRequest(3, "workers", "")
		workers.ProtocolType = "connect"
		q.code(nil, ask[*kmsg.JoinGroupResponse](q.T, q.at("workers"), workers).ErrorCode)
		q.code(kerr.NonEmptyGroup, del(q.at("workers"), "workers", "orders").ErrorCode)
	})
}
