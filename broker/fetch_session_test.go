package broker

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

func fetchOf(partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 12
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "orders"
	for _, n := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = n
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func sessionOf(follower int32, partitions ...int32) *fetchSession {
	s := newFetchSession(false, follower)
	s.update(fetchOf(partitions...))
	return s
}

// order pops everything.
func (s *fetchSession) order() (partitions []int32) {
	for p := s.pop(); p != nil; p = s.pop() {
		partitions = append(partitions, p.key.partition)
	}
	return partitions
}

// What is asked for is looked at in that order, once; news comes behind it.
func TestSessionQueueKeepsOrder(t *testing.T) {
	s := sessionOf(-1, 3, 1, 2)
	s.update(fetchOf(1)) // is queued already
	require.Equal(t, 3, s.waiting())
	require.Equal(t, []int32{3, 1, 2}, s.order())

	first, third := s.parts[s.key("orders", [16]byte{}, 1)], s.parts[s.key("orders", [16]byte{}, 3)]
	third.News(nil, replication.HighWatermarkMoved)
	first.News(nil, replication.HighWatermarkMoved)
	third.News(nil, replication.HighWatermarkMoved)
	require.Len(t, s.wake, 1, "a waiting request is woken")
	s.pushFront(s.parts[s.key("orders", [16]byte{}, 2)])
	require.Equal(t, []int32{2, 3, 1}, s.order())
}

func TestSessionForgets(t *testing.T) {
	s := sessionOf(-1, 1, 2, 3)
	req := fetchOf()
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "orders", Partitions: []int32{2, 9}}}
	p := s.parts[s.key("orders", [16]byte{}, 2)]
	s.update(req)
	require.Len(t, s.parts, 2)
	p.News(nil, replication.HighWatermarkMoved) // a notice that was under way
	require.Equal(t, []int32{1, 3}, s.order())
	s.update(fetchOf(2))
	require.Equal(t, []int32{2}, s.order(), "it can come back")
}

// The queue is a set in first-in first-out order, whatever its memory does.
func TestSessionQueueIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newFetchSession(false, -1)
		var model []int32
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			n := rapid.Int32Range(0, 9).Draw(t, "partition")
			p := s.want(s.key("orders", [16]byte{}, n))
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0, 1:
				if s.push(p); !slices.Contains(model, n) {
					model = append(model, n)
				}
			case 2:
				if s.pushFront(p); !slices.Contains(model, n) {
					model = slices.Insert(model, 0, n)
				}
			case 3:
				got := s.pop()
				if len(model) == 0 {
					require.Nil(t, got)
					break
				}
				require.Equal(t, model[0], got.key.partition)
				model = model[1:]
			}
			require.Equal(t, len(model), s.waiting())
		}
	})
}

func newSessions() *fetchSessions {
	c := &fetchSessions{}
	c.init(1, time.Unix(0, 0))
	return c
}

func (c *fetchSessions) mustOpen(t *testing.T, s *fetchSession, now time.Time) int32 {
	t.Helper()
	require.True(t, c.open(s, now))
	require.Positive(t, s.id)
	c.end(s, now)
	return s.id
}

// KIP-227: epochs go up by one, wrap to 1, and nothing else is taken.
func TestSessionEpochs(t *testing.T) {
	c, now := newSessions(), time.Unix(0, 0)
	id := c.mustOpen(t, sessionOf(-1, 0), now)
	for epoch := int32(1); epoch < 4; epoch++ {
		_, err := c.begin(id, epoch+1, false, -1)
		require.ErrorIs(t, err, metadata.ErrInvalidFetchSessionEpoch, "one was skipped")
		s, err := c.begin(id, epoch, false, -1)
		require.NoError(t, err)
		_, err = c.begin(id, epoch+1, false, -1)
		require.ErrorIs(t, err, metadata.ErrInvalidFetchSessionEpoch, "a request is using it")
		c.end(s, now)
		_, err = c.begin(id, epoch, false, -1)
		require.ErrorIs(t, err, metadata.ErrInvalidFetchSessionEpoch, "it was repeated")
	}
	_, err := c.begin(id+1, 4, false, -1)
	require.ErrorIs(t, err, metadata.ErrFetchSessionIDNotFound)
	_, err = c.begin(id, 4, false, 2)
	require.ErrorIs(t, err, metadata.ErrFetchSessionIDNotFound, "it is somebody else's")
	_, err = c.begin(id, 4, true, -1)
	require.ErrorIs(t, err, errFetchSessionTopicID)

	c.byID[id].epoch = math.MaxInt32
	s, err := c.begin(id, math.MaxInt32, false, -1)
	require.NoError(t, err)
	c.end(s, now)
	_, err = c.begin(id, 1, false, -1)
	require.NoError(t, err)
}

func TestSessionSlots(t *testing.T) {
	c, now := newSessions(), time.Unix(0, 0)
	var ids []int32
	for i := range maxClientSessions {
		ids = append(ids, c.mustOpen(t, sessionOf(-1, 0, 1), now.Add(time.Duration(i))))
	}
	require.False(t, c.open(sessionOf(-1, 0, 1, 2), now.Add(time.Second)), "all are in use and new")
	for id := range int32(5) {
		c.mustOpen(t, sessionOf(id, 0), now)
	}
	clients, followers := c.count()
	require.Equal(t, []int{maxClientSessions, 5}, []int{clients, followers}, "followers always get one")

	// Everybody stays busy for long: then a larger one displaces a smaller old one.
	for _, id := range ids {
		c.byID[id].used = now.Add(3 * time.Minute)
	}
	now = now.Add(3*time.Minute + time.Second)
	require.False(t, c.open(sessionOf(-1, 0), now), "it is smaller than all")
	c.mustOpen(t, sessionOf(-1, 0, 1, 2), now)
	clients, _ = c.count()
	require.Equal(t, maxClientSessions, clients)

	// One of them falls idle: anybody takes its place.
	i := slices.IndexFunc(ids, func(id int32) bool { return c.byID[id] != nil })
	c.byID[ids[i]].used = now.Add(-3 * time.Minute)
	c.mustOpen(t, sessionOf(-1, 0), now)
	_, err := c.begin(ids[i], 1, false, -1)
	require.ErrorIs(t, err, metadata.ErrFetchSessionIDNotFound)
}

func TestSessionRemovedWhileBusy(t *testing.T) {
	c, now := newSessions(), time.Unix(0, 0)
	s := sessionOf(-1, 0)
	require.True(t, c.open(s, now))
	c.remove(s.id, 7)
	require.False(t, s.gone, "it is not that fetcher's")
	s.watching = true
	c.remove(s.id, -1)
	require.True(t, s.watching, "its request goes on")
	c.end(s, now)
	require.False(t, s.watching)
	clients, _ := c.count()
	require.Zero(t, clients)
}

func TestFollowerHasOneSession(t *testing.T) {
	c, now := newSessions(), time.Unix(0, 0)
	old := c.mustOpen(t, sessionOf(2, 0), now)
	id := c.mustOpen(t, sessionOf(2, 0), now)
	_, err := c.begin(old, 1, false, 2)
	require.ErrorIs(t, err, metadata.ErrFetchSessionIDNotFound)
	_, err = c.begin(id, 1, false, 2)
	require.NoError(t, err)
}

// A broker that was started again must not take an old session for a new one.
func TestSessionIDsDifferBetweenIncarnations(t *testing.T) {
	seen := map[int32]string{}
	for run := range 5 {
		c := &fetchSessions{}
		c.init(1, time.Unix(int64(run), 0))
		for i := range 10 {
			id := c.mustOpen(t, sessionOf(-1, 0), time.Unix(0, 0))
			require.Empty(t, seen[id])
			seen[id] = fmt.Sprint(run, i)
		}
	}
}

// A record moves the log's end and then the high watermark. Each of the two wakes those
// who wait for it, and nobody else.
func TestNewsWakesWhomItConcerns(t *testing.T) {
	for _, c := range []struct {
		follower      int32
		what          replication.Change
		queued, woken int
	}{
		{-1, replication.LogEndMoved, 0, 0},
		{-1, replication.HighWatermarkMoved, 1, 1},
		{-1, replication.LogEndMoved | replication.HighWatermarkMoved, 1, 1},
		{2, replication.LogEndMoved, 1, 1},
		{2, replication.HighWatermarkMoved, 1, 0},
		{2, replication.LogEndMoved | replication.HighWatermarkMoved, 1, 1},
	} {
		s := sessionOf(c.follower, 0)
		s.order()
		s.parts[s.key("orders", [16]byte{}, 0)].News(nil, c.what)
		require.Equal(t, c.queued, s.waiting(), "%+v", c)
		require.Len(t, s.wake, c.woken, "%+v", c)
	}
}

// What did not fit comes first the next time, in its order, however much it is; and that
// costs no more than what is moved.
func TestManyPartitionsComeFirstAgain(t *testing.T) {
	const partitions = 20_000
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	s := sessionOf(-1, all...)
	require.Equal(t, all, s.order())
	back := func() {
		for _, n := range slices.Backward(all) {
			s.pushFront(s.parts[s.key("orders", [16]byte{}, n)])
		}
	}
	back()
	require.Equal(t, all, s.order())
	require.Less(t, testing.AllocsPerRun(1, func() { back(); s.order() }), 100.0)
}
