package brokersim_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// killed tells a story twice: with the rule nothing goes wrong, and without its guard
// something does. The story returns what did, and says from where on the rule may be missing.
func killed(t *testing.T, by guard.Guard, story func(s *groupStory) (wrong string), opts ...brokersim.Option) {
	t.Helper()
	tell := func(t *testing.T, remove func() (restore func())) (wrong string) {
		restore := func() {}
		defer func() { restore() }()
		brokertest.Virtual(t, func(t *testing.T) {
			s := newGroupStory(t, opts...)
			s.ruleEnds = func() { restore = remove() }
			s.ruleReturns = func() { restore() }
			wrong = story(s)
		})
		return wrong
	}
	t.Run("with the rule", func(t *testing.T) { require.Empty(t, tell(t, func() func() { return func() {} })) })
	t.Run(fmt.Sprintf("without m%d %s", by, by), func(t *testing.T) {
		wrong := tell(t, by.Remove)
		require.NotEmpty(t, wrong, "it is told as if nothing were missing")
		t.Log(wrong)
	})
}

// A groupStory is about the group "billing", which commits offsets in orders-0. Its broker is
// the leader of the only partition of __consumer_offsets, and not the preferred one: an
// election, or its death, makes another one.
type groupStory struct {
	t *testing.T
	c *brokertest.C
	// home is the group's broker; next becomes it by an election, and is the first in line.
	home, next, third *brokersim.Broker
	admin             *kgo.Client
	told              atomic.Int32
	// From where on, and until when, the rule that the story is about may be missing.
	ruleEnds, ruleReturns func()
}

func newGroupStory(t *testing.T, opts ...brokersim.Option) *groupStory {
	c := brokertest.Start(t, append([]brokersim.Option{
		brokersim.Topic("orders", 1, 3),
		brokersim.BrokerConfig("offsets.topic.num.partitions=1", "group.min.session.timeout.ms=1",
			"replica.lag.time.max.ms=60000", "broker.session.timeout.ms=10000"),
	}, opts...)...)
	s := &groupStory{t: t, c: c, admin: client(t, c), ruleEnds: func() {}, ruleReturns: func() {}}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"billing"}
	_, err := find.RequestWith(t.Context(), s.admin)
	require.NoError(t, err)
	produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	c.Must(brokersim.FullISR())
	p := c.Partition(metadata.OffsetsTopic, 0)
	s.next, s.home, s.third = c.Broker(p.Assigned[0]), c.Broker(p.Assigned[1]), c.Broker(p.Assigned[2])
	require.NoError(t, s.next.Stop())
	require.NoError(t, s.next.Start())
	c.Must(brokersim.LedBy(metadata.OffsetsTopic, 0, s.home.ID()))
	c.Must(brokersim.FullISR())
	return s
}

// elect makes next the group's broker.
func (s *groupStory) elect() {
	s.t.Helper()
	require.NoError(s.t, <-s.elects())
	s.c.Must(brokersim.LedBy(metadata.OffsetsTopic, 0, s.next.ID()))
}

// elects makes next the group's broker meanwhile: the answer says no more than that it was decided.
func (s *groupStory) elects() <-chan error {
	elected := make(chan error, 1)
	go func() {
		var set kadm.TopicsSet
		set.Add(metadata.OffsetsTopic, 0)
		_, err := kadm.NewClient(s.admin).ElectLeaders(context.Background(), kadm.ElectPreferredReplica, set)
		elected <- err
	}()
	return elected
}

// deafen keeps a broker from replaying anything new, though it heartbeats.
func (s *groupStory) deafen(b *brokersim.Broker) (release func()) {
	s.t.Helper()
	s.news() // so that its poll has just begun
	var all []func()
	for _, n := range s.c.Coordinator().Nodes() {
		all = append(all, brokersim.HoldRequests(s.c.Cluster, brokersim.B(b.ID()), brokersim.Q(n.ID()), kmsg.Fetch.Int16()))
	}
	go s.news() // the poll that is under way was not held, and ends with this
	time.Sleep(10 * time.Millisecond)
	return func() {
		for _, release := range all {
			release()
		}
	}
}

// news is something new for everybody, who poll anew then. A deaf broker does not hear all of it.
func (s *groupStory) news() {
	name := fmt.Sprint("news-", s.told.Add(1))
	_, _ = kadm.NewClient(s.admin).CreateTopic(context.Background(), 1, 1, nil, name)
	time.Sleep(10 * time.Millisecond)
}

// A hand is a member, or an administrator, each of whose requests the story sends to the broker
// that it names.
type hand struct {
	s                  *groupStory
	cl                 *kgo.Client
	id                 string
	instance           *string
	generation         int32
	session, rebalance time.Duration
	roll               []string // of the group leader: who is a member
}

func (s *groupStory) hand(opts ...kgo.Opt) *hand {
	v := kversion.Stable()
	v.SetMaxKeyVersion(kmsg.OffsetCommit.Int16(), 9)
	v.SetMaxKeyVersion(kmsg.OffsetFetch.Int16(), 9)
	return &hand{s: s, cl: client(s.t, s.c, append([]kgo.Opt{kgo.MaxVersions(v)}, opts...)...), generation: -1, session: time.Minute, rebalance: 500 * time.Millisecond}
}

// ask sends one request once.
func (h *hand) ask(to *brokersim.Broker, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return h.cl.Broker(int(to.ID())).Request(ctx, req)
}

// join waits until a generation is formed with this member in it.
func (h *hand) join(to *brokersim.Broker) error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.InstanceID = "billing", "consumer", h.instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(h.session.Milliseconds()), int32(h.rebalance.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	req.Protocols = append(req.Protocols, p)
	for {
		req.MemberID = h.id
		answer, err := h.ask(to, req)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.JoinGroupResponse)
		err = kerr.ErrorForCode(resp.ErrorCode)
		if resp.MemberID != "" {
			h.id = resp.MemberID
		}
		if errors.Is(err, kerr.MemberIDRequired) {
			continue
		}
		if err == nil {
			h.generation, h.roll = resp.Generation, nil
			for _, m := range resp.Members {
				h.roll = append(h.roll, m.MemberID)
			}
		}
		return err
	}
}

// joins joins meanwhile.
func (h *hand) joins(to *brokersim.Broker) <-chan error {
	done := make(chan error, 1)
	go func() { done <- h.join(to) }()
	return done
}

// sync assigns nothing in particular, if it is this member's turn to assign.
func (h *hand) sync(to *brokersim.Broker) error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "billing", h.id, h.instance, h.generation
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	for _, id := range h.roll {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, []byte("something")
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	answer, err := h.ask(to, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.SyncGroupResponse).ErrorCode)
}

// leave says that the member is none any more.
func (h *hand) leave(to *brokersim.Broker) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = "billing"
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = h.id, h.instance
	req.Members = append(req.Members, m)
	answer, err := h.ask(to, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.LeaveGroupResponse).ErrorCode)
}

func (h *hand) heartbeat(to *brokersim.Broker) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "billing", h.id, h.instance, h.generation
	answer, err := h.ask(to, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.HeartbeatResponse).ErrorCode)
}

// commit commits an offset, in the name of who it was in generation.
func (h *hand) commit(to *brokersim.Broker, generation int32, offset int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "billing", h.id, h.instance, generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := h.ask(to, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

func (h *hand) commits(to *brokersim.Broker, generation int32, offset int64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- h.commit(to, generation, offset) }()
	return done
}

// committed asks what the group has committed.
func (h *hand) committed(to *brokersim.Broker) (int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "billing"
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{0}}}
	req.Groups = append(req.Groups, g)
	answer, err := h.ask(to, req)
	if err != nil {
		return 0, err
	}
	resp := answer.(*kmsg.OffsetFetchResponse).Groups[0]
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return 0, err
	}
	return resp.Topics[0].Partitions[0].Offset, nil
}

// isOver reports whether an answer tells a member that it is none.
func isOver(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.FencedInstanceID)
}

// patiently asks again while the broker is not ready, as clients do, for a minute.
func patiently(ask func() error) (err error) {
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		err = ask()
		if err == nil || !kerr.IsRetriable(err) && errors.As(err, new(*kerr.Error)) {
			return err
		}
	}
	return err
}

// works joins as the only member, and commits.
func (h *hand) works(to *brokersim.Broker, offset int64) {
	h.s.t.Helper()
	require.NoError(h.s.t, patiently(func() error { return h.join(to) }))
	require.NoError(h.s.t, h.sync(to))
	require.NoError(h.s.t, h.commit(to, h.generation, offset))
}

// share has b join the group that a is in: both are at work in the next generation then.
func (s *groupStory) share(to *brokersim.Broker, a, b *hand) {
	s.t.Helper()
	joined := b.joins(to)
	time.Sleep(10 * time.Millisecond)
	require.NoError(s.t, a.join(to))
	require.NoError(s.t, <-joined)
	s.assigned(to, a, b)
}

// assigned has both sync.
func (s *groupStory) assigned(to *brokersim.Broker, a, b *hand) {
	s.t.Helper()
	synced := make(chan error, 1)
	go func() { synced <- b.sync(to) }()
	require.NoError(s.t, a.sync(to))
	require.NoError(s.t, <-synced)
}

// shows is what a broker says is committed, patiently.
func (h *hand) shows(to *brokersim.Broker) (offset int64) {
	h.s.t.Helper()
	require.NoError(h.s.t, patiently(func() (err error) { offset, err = h.committed(to); return err }))
	return offset
}
