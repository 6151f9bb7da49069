package replication

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A history is a log as its epochs tell it: the leader epoch of each offset.
type history []int32

func (h history) LogStartOffset() int64 { return 0 }
func (h history) LogEndOffset() int64   { return int64(len(h)) }

func (h history) LatestEpoch() int32 {
	if len(h) == 0 {
		return -1
	}
	return h[len(h)-1]
}

func (h history) EndOffsetForEpoch(epoch int32) partition.EpochEnd {
	switch {
	case len(h) == 0 || epoch > h.LatestEpoch() || epoch < 0:
		return partition.EpochEnd{Epoch: -1, Offset: -1}
	case epoch < h[0]:
		return partition.EpochEnd{Epoch: epoch, Offset: 0}
	}
	end := partition.EpochEnd{Epoch: -1, Offset: h.LogEndOffset()}
	for i, e := range h {
		if e > epoch {
			end.Offset = int64(i)
			break
		}
		end.Epoch = e
	}
	return end
}

// of makes a history: of(0, 11, 2, 10) has epoch 0 for 11 records, then epoch 2 for 10.
func of(pairs ...int) history {
	var h history
	for i := 0; i < len(pairs); i += 2 {
		for range pairs[i+1] {
			h = append(h, int32(pairs[i]))
		}
	}
	return h
}

// converge lets a follower fetch from a leader until they agree, and returns
// where it was cut, in order.
func converge(leader, follower history) (cuts []int64, end history, err error) {
	for range 100 {
		var f Follower
		f.Begin(9, 0)
		req := f.Position(follower)
		ans := FetchedPartition{Diverging: divergence(ReadRequest{
			Offset: req.FetchOffset, LastFetchedEpoch: req.LastFetchedEpoch, Follower: 2,
		}, leader)}
		step := f.Answer(req, ans, follower)
		switch step.Kind {
		case TruncateTo:
			if step.To > follower.LogEndOffset() || step.To < 0 {
				return cuts, follower, fmt.Errorf("cut to %d of %d", step.To, len(follower))
			}
			cuts = append(cuts, step.To)
			follower = follower[:step.To]
		case AppendRecords:
			if len(follower) > len(leader) {
				return cuts, follower, fmt.Errorf("longer than the leader")
			}
			return cuts, append(follower[:len(follower):len(follower)], leader[len(follower):]...), nil
		default:
			return cuts, follower, fmt.Errorf("%+v", step)
		}
	}
	return cuts, follower, fmt.Errorf("no end")
}

func TestWhereAFollowerCuts(t *testing.T) {
	for name, c := range map[string]struct {
		leader, follower history
		cuts             []int64
	}{
		"a prefix":                               {of(0, 10), of(0, 7), nil},
		"empty":                                  {of(0, 10), nil, nil},
		"equal":                                  {of(0, 10, 1, 5), of(0, 10, 1, 5), nil},
		"longer in the same epoch":               {of(0, 10, 2, 1), of(0, 12), []int64{10}},
		"an epoch that the leader never had":     {of(0, 20, 3, 10), of(0, 11, 2, 5), []int64{11}},
		"... as long as the leader's older one":  {of(0, 21, 3, 10), of(0, 11, 2, 10), []int64{11}},
		"... and longer":                         {of(0, 21, 3, 10), of(0, 11, 2, 30), []int64{11}},
		"two epochs to step back over":           {of(0, 5, 2, 5, 5, 1), of(0, 5, 1, 3, 3, 3), []int64{8, 5}},
		"nothing shared":                         {of(3, 10), of(1, 5), []int64{0}},
		"the leader is empty":                    {nil, of(1, 5), []int64{0}},
		"the leader's log is older than it knew": {of(0, 5), of(0, 5, 1, 3), []int64{5}},
	} {
		cuts, end, err := converge(c.leader, c.follower)
		require.NoError(t, err, name)
		require.Equal(t, c.cuts, cuts, name)
		require.Equal(t, len(c.leader), len(end), name)
	}
}

// TestAFollowerKeepsWhatIsShared draws histories as leaders would have written
// them and expects every follower to end up with the leader's, without ever
// cutting into what both have.
func TestAFollowerKeepsWhatIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := make([][]entry, 3) // who wrote what: the values tell records of one epoch apart
		for epoch := range int32(rapid.IntRange(1, 6).Draw(t, "epochs")) {
			leader := rapid.IntRange(0, 2).Draw(t, "leader")
			for i := range rapid.IntRange(0, 4).Draw(t, "records") {
				logs[leader] = append(logs[leader], entry{fmt.Sprint(epoch, ".", i), epoch})
			}
			for i := range logs {
				if i == leader || !rapid.Bool().Draw(t, "copies") {
					continue
				}
				shared := sharedPrefix(logs[leader], logs[i])
				_, end, err := converge(epochsOf(logs[leader]), epochsOf(logs[i]))
				require.NoError(t, err)
				require.Equal(t, epochsOf(logs[leader]), end)
				cut := shared // what it keeps must be at least that; it may copy a part only
				n := rapid.IntRange(cut, len(logs[leader])).Draw(t, "up to")
				logs[i] = append([]entry(nil), logs[leader][:n]...)
			}
		}
		for i := range logs {
			for j := range logs {
				cuts, _, err := converge(epochsOf(logs[i]), epochsOf(logs[j]))
				require.NoError(t, err)
				shared := sharedPrefix(logs[i], logs[j])
				kept := len(logs[j])
				if len(cuts) > 0 {
					kept = int(cuts[len(cuts)-1])
				}
				require.Equal(t, shared, kept, "leader %v, follower %v", logs[i], logs[j])
			}
		}
	})
}

func epochsOf(log []entry) history {
	h := make(history, len(log))
	for i, e := range log {
		h[i] = e.epoch
	}
	return h
}

func sharedPrefix(a, b []entry) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func TestWhatAFollowerDoesWithAnAnswer(t *testing.T) {
	log := of(0, 10)
	var f Follower
	f.Begin(3, 7)
	req := f.Position(log)
	require.Equal(t, FetchPartition{CurrentLeaderEpoch: 3, FetchOffset: 10, LastFetchedEpoch: 0}, req)

	stale, moved := req, req
	stale.CurrentLeaderEpoch, moved.FetchOffset = 2, 9
	require.Equal(t, Ignore, f.Answer(stale, FetchedPartition{}, log).Kind)
	require.Equal(t, Ignore, f.Answer(moved, FetchedPartition{}, log).Kind)

	for _, err := range []error{metadata.ErrFencedLeaderEpoch, metadata.ErrUnknownLeaderEpoch, metadata.ErrNotLeaderOrFollower, metadata.ErrUnknownTopicID} {
		step := f.Answer(req, FetchedPartition{Err: fmt.Errorf("orders-0: %w", err)}, log)
		require.Equal(t, TryLater, step.Kind)
		require.ErrorIs(t, step.Err, err)
	}
	outOfRange := fmt.Errorf("orders-0: %w", metadata.ErrOffsetOutOfRange)
	step := f.Answer(req, FetchedPartition{Err: outOfRange, LogStartOffset: 15}, log)
	require.Equal(t, ResetTo, step.Kind)
	require.EqualValues(t, 15, step.To)
	require.Equal(t, TryLater, f.Answer(req, FetchedPartition{Err: outOfRange, LogStartOffset: -1}, log).Kind)
}

func TestAFollowersHighWatermark(t *testing.T) {
	var f Follower
	f.Begin(0, 0)
	require.True(t, f.Advance(5, 3))
	require.EqualValues(t, 3, f.HighWatermark(), "not past its own log")
	require.False(t, f.Advance(2, 3), "a new leader may know less")
	require.EqualValues(t, 3, f.HighWatermark())
	f.Truncated(1)
	require.EqualValues(t, 1, f.HighWatermark())
	f.Reset(40)
	require.EqualValues(t, 40, f.HighWatermark())
}
