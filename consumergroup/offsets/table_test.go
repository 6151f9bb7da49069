package offsets_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
)

func record(group string, p offsets.Place, c *offsets.Commit) offsets.Record {
	return offsets.Record{Group: group, Place: p, Commit: c}
}

func TestATableHoldsTheNewest(t *testing.T) {
	var table offsets.Table
	a, b := offsets.Place{Topic: "t", Partition: 0}, offsets.Place{Topic: "t", Partition: 1}
	require.EqualValues(t, -1, table.Last("g"))
	table.Take(record("g", a, &offsets.Commit{Offset: 1}), 10)
	table.Take(record("g", b, &offsets.Commit{Offset: 2}), 11)
	table.Take(record("g", a, &offsets.Commit{Offset: 3}), 12)
	table.Take(record("h", a, &offsets.Commit{Offset: 4}), 13)
	c, ok := table.Get("g", a)
	require.True(t, ok)
	require.EqualValues(t, 3, c.Offset)
	require.EqualValues(t, 12, table.Last("g"))
	require.Equal(t, []string{"g", "h"}, table.Groups())
	require.Equal(t, []offsets.Place{a, b}, offsets.Places(table.Of("g")))

	of := table.Of("g")
	table.Take(record("g", a, nil), 14)
	table.Take(record("g", b, nil), 15)
	require.Len(t, of, 2, "what was given out stays as it was")
	require.False(t, table.Has("g"))
	require.EqualValues(t, 15, table.Last("g"), "who asks waits for the tombstone")
	table.Forget(15)
	require.EqualValues(t, 15, table.Last("g"))
	table.Forget(16)
	require.EqualValues(t, -1, table.Last("g"))
	groups, commits := table.Size()
	require.Equal(t, []int{1, 1}, []int{groups, commits})
	table.Take(record("none", a, nil), 17)
	require.EqualValues(t, -1, table.Last("none"))
}

// facts of a group of consumers, one of whom subscribes to "read".
func facts(state consumergroup.State, since time.Time) *consumergroup.ClassicFacts {
	subscription := kmsg.ConsumerMemberMetadata{Topics: []string{"read"}}
	f := &consumergroup.ClassicFacts{State: state, Generation: 1, ProtocolType: "consumer", Protocol: "range", Since: since.UnixMilli()}
	if state != consumergroup.Empty {
		f.Members = []consumergroup.Member{{ID: "a", Protocols: []consumergroup.Protocol{{Name: "range", Metadata: string(subscription.AppendTo(nil))}}}}
	}
	return f
}

// KIP-211, one case a line.
func TestExpiry(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day, week := 24*time.Hour, 7*24*time.Hour
	other := facts(consumergroup.Stable, start)
	other.ProtocolType = "connect"
	unread := facts(consumergroup.Stable, start)
	unread.Members[0].Protocols[0].Metadata = "\x00"
	for _, c := range []struct {
		name    string
		facts   consumergroup.Facts
		topic   string
		expires int64
		after   time.Duration
		gone    bool
	}{
		{"a simple consumer's, in time", nil, "read", -1, week - 1, false},
		{"a simple consumer's", nil, "read", -1, week, true},
		{"of an empty group, by when it became empty", facts(consumergroup.Empty, start.Add(day)), "read", -1, week, false},
		{"of an empty group", facts(consumergroup.Empty, start.Add(day)), "read", -1, week + day, true},
		{"of one that never had members", &consumergroup.ClassicFacts{State: consumergroup.Empty, Since: start.Add(day).UnixMilli()}, "read", -1, week, true},
		{"of a topic that is subscribed", facts(consumergroup.Stable, start), "read", -1, 10 * week, false},
		{"of one that is not", facts(consumergroup.Stable, start), "left", -1, week, true},
		{"of one that is not, in time", facts(consumergroup.Stable, start), "left", -1, week - 1, false},
		{"between generations", facts(consumergroup.PreparingRebalance, start), "left", -1, 10 * week, false},
		{"of members of another kind", other, "left", -1, 10 * week, false},
		{"of members whose subscription cannot be read", unread, "left", -1, 10 * week, false},
		{"that says itself when, in time", nil, "read", day.Milliseconds(), day - 1, false},
		{"that says itself when", nil, "read", day.Milliseconds(), day, true},
		{"of a topic that is gone", facts(consumergroup.Stable, start), "deleted", -1, 0, true},
		{"of a topic that was made again", facts(consumergroup.Stable, start), "anew", -1, 0, true},
	} {
		var table offsets.Table
		p := offsets.Place{Topic: c.topic, Partition: 1}
		commit := offsets.Commit{Offset: 5, At: start.UnixMilli(), Expires: -1, TopicID: metadata.UUID{1}}
		if c.expires >= 0 {
			commit.Expires = start.UnixMilli() + c.expires
		}
		table.Take(record("g", p, &commit), 1)
		age := offsets.Age{Now: start.Add(c.after), Retention: week, Topic: func(name string) (metadata.UUID, bool) {
			return map[string]metadata.UUID{"read": {1}, "left": {1}, "anew": {2}}[name], name != "deleted"
		}}
		require.Equal(t, c.gone, len(table.Expired("g", c.facts, age)) == 1, "a commit %s", c.name)
	}
	var table offsets.Table
	require.Empty(t, table.Expired("g", nil, offsets.Age{}))
}

func BenchmarkTake(b *testing.B) {
	var table offsets.Table
	places := make([]offsets.Place, 64)
	for i := range places {
		places[i] = offsets.Place{Topic: "t", Partition: int32(i)}
	}
	c := &offsets.Commit{Offset: 1}
	for i := 0; b.Loop(); i++ {
		table.Take(record("g", places[i%64], c), int64(i))
	}
}
