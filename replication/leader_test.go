package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// registered is a set of brokers, by id, as the image would show them.
type registered map[int32]metadata.Broker

func (r registered) Broker(id int32) (metadata.Broker, bool) {
	b, ok := r[id]
	return b, ok
}

func threeBrokers() registered {
	brokers := registered{}
	for id := int32(1); id <= 3; id++ {
		brokers[id] = metadata.Broker{ID: id, Epoch: 10 * int64(id)}
	}
	return brokers
}

const lagTime = 30 * time.Second

// A lead is a Leader with a clock.
type lead struct {
	*Leader
	t       *testing.T
	now     time.Time
	brokers registered
}

// leading returns broker 1 as the leader of replicas 1, 2, 3 in epoch 5.
func leading(t *testing.T, minISR int, logEnd, hw int64, isr ...int32) *lead {
	l := &lead{Leader: NewLeader(1, metadata.TopicPartition{}), t: t, now: time.Unix(1000, 0), brokers: threeBrokers()}
	l.Configure(LeaderSettings{MinISR: minISR, LagTimeMax: lagTime, SelfEpoch: 10})
	state := metadata.Partition{Replicas: []int32{1, 2, 3}, ISR: isr, Leader: 1, LeaderEpoch: 5, PartitionEpoch: 7}
	require.Zero(t, l.Begin(state, logEnd, hw, l.at()))
	return l
}

func (l *lead) at() Moment { return Moment{Now: l.now, Brokers: l.brokers} }

func (l *lead) fetch(broker int32, offset int64) Consequence {
	l.t.Helper()
	c, err := l.Fetched(FollowerFetch{Broker: broker, BrokerEpoch: l.brokers[broker].Epoch, Offset: offset}, l.at())
	require.NoError(l.t, err)
	return c
}

func members(p *Proposal) []int32 {
	if p == nil {
		return nil
	}
	var ids []int32
	for _, m := range p.ISR {
		ids = append(ids, m.Broker)
	}
	return ids
}

func (l *lead) commit(isr ...int32) Consequence {
	state := l.state
	state.ISR, state.PartitionEpoch = isr, state.PartitionEpoch+1
	return l.Committed(state, l.at())
}

func TestTheHighWatermarkIsTheSmallestLogEndInSync(t *testing.T) {
	l := leading(t, 1, 0, 0, 1, 2, 3)
	l.Appended(10, l.at())
	require.False(t, l.fetch(2, 10).Advanced, "broker 3 was not seen yet")
	require.True(t, l.fetch(3, 4).Advanced)
	require.EqualValues(t, 4, l.HighWatermark())
	l.fetch(3, 2)
	require.EqualValues(t, 4, l.HighWatermark(), "it never goes back")
	l.fetch(3, 12)
	require.EqualValues(t, 10, l.HighWatermark(), "the leader's own log counts too")
}

func TestAFollowerOnABusyPartitionCounts(t *testing.T) {
	// The follower always is one batch behind when it asks. It has caught up all
	// the same: with where the end was when it asked before.
	l := leading(t, 1, 0, 0, 1, 2, 3)
	l.fetch(2, 0)
	l.fetch(3, 0)
	for end := int64(10); end < 200; end += 10 {
		l.Appended(end, l.at())
		l.now = l.now.Add(lagTime / 2)
		l.fetch(2, end-10)
		if end >= 100 {
			continue // broker 3 stays behind from here on
		}
		l.fetch(3, end-10)
	}
	require.Equal(t, []int32{1, 2}, members(l.Tick(l.at()).Propose))
}

func TestAnIdlePartitionDoesNotLoseItsFollowersAtTheNextAppend(t *testing.T) {
	l := leading(t, 1, 0, 0, 1, 2, 3)
	l.fetch(2, 0)
	l.fetch(3, 0)
	l.now = l.now.Add(time.Hour)
	require.Nil(t, l.Tick(l.at()).Propose, "nobody misses anything")
	l.Appended(1, l.at())
	l.now = l.now.Add(lagTime)
	require.Nil(t, l.Tick(l.at()).Propose, "the lag began with the append")
	l.now = l.now.Add(time.Millisecond)
	require.Equal(t, []int32{1}, members(l.Tick(l.at()).Propose))
}

func TestANewLeaderGivesItsISRTimeToFindIt(t *testing.T) {
	l := leading(t, 1, 10, 0, 1, 2)
	l.now = l.now.Add(lagTime)
	require.Nil(t, l.Tick(l.at()).Propose)
	l.now = l.now.Add(time.Millisecond)
	require.Equal(t, []int32{1}, members(l.Tick(l.at()).Propose))
	require.Zero(t, l.Followers()[0].LastCaughtUp, "for people it never was")
}

func TestOneProposalAtATime(t *testing.T) {
	l := leading(t, 1, 10, 10, 1)
	first := l.fetch(2, 10).Propose
	require.Equal(t, &Proposal{LeaderEpoch: 5, PartitionEpoch: 7, Recovered: true, ISR: []ISRMember{{1, 10}, {2, 20}}}, first)
	require.Nil(t, l.fetch(3, 10).Propose, "broker 3 waits for its turn")
	require.Equal(t, []int32{1, 2}, l.MaximalISR())
	require.Nil(t, l.Answered(*first, nil, l.at()).Propose, "success is believed from the metadata log only")
	require.Equal(t, []int32{1, 2, 3}, members(l.commit(1, 2).Propose))
}

func TestWhatAnAnswerMeans(t *testing.T) {
	type outcome struct {
		settle []int32 // what is proposed at once
		again  []int32 // what the next tick sends
	}
	for err, want := range map[error]outcome{
		nil:                              {},
		metadata.ErrInvalidUpdateVersion: {},
		metadata.ErrFencedLeaderEpoch:    {},
		metadata.ErrInvalidRequest:       {},
		metadata.ErrUnknownTopicID:       {},
		metadata.ErrNotController:        {again: []int32{1, 2}},
		metadata.ErrRequestTimedOut:      {again: []int32{1, 2}},
		metadata.ErrIneligibleReplica:    {settle: []int32{1}},
	} {
		l := leading(t, 1, 10, 10, 1)
		p := l.fetch(2, 10).Propose
		l.brokers[2] = metadata.Broker{ID: 2, Epoch: 20, Fenced: true} // or it would be proposed anew
		require.Equal(t, want.settle, members(l.Answered(*p, err, l.at()).Propose), "%v", err)
		require.Equal(t, []int32{1, 2}, l.MaximalISR(), "%v: broker 2 still counts", err)
		require.Equal(t, want.again, members(l.Tick(l.at()).Propose), "%v", err)
		require.Nil(t, l.Tick(l.at()).Propose, "%v: once is enough", err)
	}
}

// While the coordinator will have nothing of it, the leader asks again at each tick, not at once.
func TestSettlingWhatWasRefusedIsRefused(t *testing.T) {
	l := leading(t, 1, 10, 10, 1)
	p := l.fetch(2, 10).Propose
	for range 3 {
		settle := l.Answered(*p, metadata.ErrIneligibleReplica, l.at()).Propose
		if settle == nil {
			settle = l.Tick(l.at()).Propose
		}
		require.Equal(t, []int32{1}, members(settle))
		require.Nil(t, l.Answered(*settle, metadata.ErrIneligibleReplica, l.at()).Propose)
		p = l.Tick(l.at()).Propose
		require.Equal(t, []int32{1}, members(p))
	}
	require.Equal(t, []int32{1, 2}, l.MaximalISR())
	require.Equal(t, []int32{1, 2}, members(l.commit(1).Propose), "the partition epoch has risen")
}

func TestAnAnswerToAnOlderProposalIsIgnored(t *testing.T) {
	l := leading(t, 1, 10, 10, 1)
	old := *l.fetch(2, 10).Propose
	l.fetch(3, 10)
	require.NotNil(t, l.commit(1, 2).Propose)
	l.Answered(old, metadata.ErrIneligibleReplica, l.at())
	require.Equal(t, []int32{1, 2, 3}, l.MaximalISR())
}

func TestWhoMayJoin(t *testing.T) {
	for name, c := range map[string]struct {
		broker metadata.Broker
		offset int64
		minISR int
		joins  bool
	}{
		"caught up":                      {broker: metadata.Broker{Epoch: 20}, offset: 30, joins: true},
		"at the epoch's start":           {broker: metadata.Broker{Epoch: 20}, offset: 20, joins: true},
		"below the epoch's start":        {broker: metadata.Broker{Epoch: 20}, offset: 19},
		"fenced":                         {broker: metadata.Broker{Epoch: 20, Fenced: true}, offset: 30},
		"shutting down":                  {broker: metadata.Broker{Epoch: 20, ShuttingDown: true}, offset: 30},
		"registered anew":                {broker: metadata.Broker{Epoch: 21}, offset: 30},
		"below min ISR, behind":          {broker: metadata.Broker{Epoch: 20}, offset: 29, minISR: 3},
		"below min ISR, caught up":       {broker: metadata.Broker{Epoch: 20}, offset: 30, minISR: 3, joins: true},
		"above min ISR, some way behind": {broker: metadata.Broker{Epoch: 20}, offset: 29, minISR: 1, joins: true},
	} {
		l := leading(t, max(c.minISR, 1), 20, 10, 1, 3) // 3 has not fetched: the high watermark stays at 10
		l.Appended(30, l.at())
		c.broker.ID = 2
		l.brokers[2] = c.broker
		got, err := l.Fetched(FollowerFetch{Broker: 2, BrokerEpoch: 20, Offset: c.offset}, l.at())
		require.NoError(t, err)
		require.Equal(t, c.joins, got.Propose != nil, name)
	}
}

func TestAnUncleanLeaderSaysThatItHasRecovered(t *testing.T) {
	l := &lead{Leader: NewLeader(1, metadata.TopicPartition{}), t: t, brokers: threeBrokers()}
	l.Configure(LeaderSettings{MinISR: 1, LagTimeMax: lagTime, SelfEpoch: 10})
	p := l.Begin(metadata.Partition{Replicas: []int32{1, 2}, ISR: []int32{1}, Leader: 1, Recovering: true}, 0, 0, l.at()).Propose
	require.NotNil(t, p)
	require.True(t, p.Recovered)
	require.Equal(t, []int32{1}, members(p))
}

func TestFetchesThatSayNothing(t *testing.T) {
	l := leading(t, 1, 10, 0, 1, 2)
	_, err := l.Fetched(FollowerFetch{Broker: 4, Offset: 10}, l.at())
	require.ErrorIs(t, err, metadata.ErrUnknownLeaderEpoch)

	l.fetch(2, 4)
	_, err = l.Fetched(FollowerFetch{Broker: 2, BrokerEpoch: 19, Offset: 10}, l.at())
	require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower)
	require.EqualValues(t, 4, l.HighWatermark())
}

// A fetch that was overtaken by one of a newer session says nothing any more: what it told was true before.
func TestAnOvertakenFetchSaysNothing(t *testing.T) {
	l := leading(t, 1, 10, 0, 1, 2)
	fetch := func(session, offset int64) error {
		_, err := l.Fetched(FollowerFetch{Broker: 2, BrokerEpoch: 20, Session: session, Offset: offset}, l.at())
		return err
	}
	require.NoError(t, fetch(4, 3))
	require.NoError(t, fetch(7, 8))
	require.EqualValues(t, 8, l.HighWatermark())
	require.ErrorIs(t, fetch(4, 3), metadata.ErrNotLeaderOrFollower)
	require.EqualValues(t, 8, l.Followers()[0].LogEndOffset)
	require.NoError(t, fetch(7, 9))
	require.EqualValues(t, 9, l.HighWatermark())
}

func TestABrokerThatRestartedBeginsAnew(t *testing.T) {
	l := leading(t, 1, 10, 10, 1)
	l.brokers[2] = metadata.Broker{ID: 2, Epoch: 20, Fenced: true}
	l.fetch(2, 10)
	l.brokers[2] = metadata.Broker{ID: 2, Epoch: 21}
	require.Nil(t, l.Tick(l.at()).Propose, "what its last process fetched says nothing")
	l.fetch(2, 3)
	l.Appended(20, l.at())
	require.EqualValues(t, 20, l.HighWatermark(), "nobody waits for it, it is far behind")
}

func TestTheHighWatermarkWaitsForWhoIsAboutToJoin(t *testing.T) {
	l := leading(t, 1, 10, 10, 1)
	l.brokers[2] = metadata.Broker{ID: 2, Epoch: 20, Fenced: true}
	l.fetch(2, 10)
	l.Appended(11, l.at())
	require.EqualValues(t, 11, l.HighWatermark(), "not for one that may not join")
	l.fetch(2, 11)
	l.brokers[2] = metadata.Broker{ID: 2, Epoch: 20}
	l.Appended(12, l.at())
	require.EqualValues(t, 11, l.HighWatermark())
	require.Equal(t, []int32{1, 2}, members(l.fetch(2, 12).Propose))
	require.EqualValues(t, 12, l.HighWatermark())
}

func BenchmarkLeaderFetched(b *testing.B) {
	brokers := threeBrokers()
	l := NewLeader(1, metadata.TopicPartition{})
	l.Configure(LeaderSettings{MinISR: 2, LagTimeMax: lagTime, SelfEpoch: 10})
	at := Moment{Now: time.Unix(1000, 0), Brokers: brokers}
	l.Begin(metadata.Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, Leader: 1}, 0, 0, at)
	b.ReportAllocs()
	end := int64(0)
	for b.Loop() {
		end++
		l.Appended(end, at)
		for broker := int32(2); broker <= 3; broker++ {
			if _, err := l.Fetched(FollowerFetch{Broker: broker, BrokerEpoch: 10 * int64(broker), Offset: end}, at); err != nil {
				b.Fatal(err)
			}
		}
	}
	if l.HighWatermark() != end {
		b.Fatal("the high watermark did not follow")
	}
}

// A leader may go if a live member of the ISR can take over, and only then.
func TestMayResign(t *testing.T) {
	require.True(t, leading(t, 2, 5, 5, 1, 2, 3).MayResign(Moment{Brokers: threeBrokers()}))
	require.True(t, leading(t, 2, 5, 5, 1, 3).MayResign(Moment{Brokers: threeBrokers()}))
	require.False(t, leading(t, 2, 5, 5, 1).MayResign(Moment{Brokers: threeBrokers()}), "alone in the ISR, whoever else lives")
	brokers := threeBrokers()
	brokers[2] = metadata.Broker{ID: 2, Epoch: 20, Fenced: true}
	require.False(t, leading(t, 2, 5, 5, 1, 2).MayResign(Moment{Brokers: brokers}), "the other one is fenced")
	brokers[2] = metadata.Broker{ID: 2, Epoch: 20, ShuttingDown: true}
	require.False(t, leading(t, 2, 5, 5, 1, 2).MayResign(Moment{Brokers: brokers}), "the other one is leaving")
	delete(brokers, 2)
	require.False(t, leading(t, 2, 5, 5, 1, 2).MayResign(Moment{Brokers: brokers}), "the other one is not known")
}
