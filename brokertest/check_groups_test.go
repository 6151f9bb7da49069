package brokertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// A client that commits what nobody has written is told of at the end of the test, unless
// the test says that it is meant to.
func TestOffsetsBeyondTheRecordsAreFound(t *testing.T) {
	for _, unruly := range []bool{false, true} {
		Virtual(t, func(t *testing.T) {
			f := run(t, func(tb TB) {
				c := Start(tb, small(brokersim.Topic("orders", 1, 1))...)
				if unruly {
					c.Unruly("billing")
				}
				commit(t, c, "billing", 1)
				c.Must(brokersim.CommittedOffset("billing", "orders", 0, 1))
			})
			require.Equal(t, !unruly, f.failed, f.said)
			said := strings.Join(f.said, "\n")
			require.Equal(t, !unruly, strings.Contains(said, "group billing, Empty in generation 0: offset 1 of orders-0 is committed, and no record beyond 0 is"), said)
		})
	}
}

func commit(t *testing.T, c *C, group string, offset int64) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial))
	require.NoError(t, err)
	defer cl.Close()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "orders", At: offset, LeaderEpoch: -1})
	require.NoError(t, kadm.NewClient(cl).CommitAllOffsets(context.WithoutCancel(t.Context()), group, offsets))
}

// What the events tell is judged, too, and what makes a look unfair is remembered.
func TestWhatHappenedIsJudged(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(kind event.Kind, topic string, data map[string]any) brokersim.Event {
		return brokersim.Event{Time: now, Kind: kind, Topic: topic, Data: data}
	}
	generation := func(n int32) map[string]any { return map[string]any{"group": "billing", "generation": n} }
	p, wrong := whatHappened([]brokersim.Event{
		at(event.TopicCreated, "orders", nil),
		at(event.LeaderElected, "orders", map[string]any{"leader": int32(1), "epoch": int32(1), "unclean": true}),
		at(event.TopicDeleted, "bills", nil),
		at(event.GroupGeneration, "", generation(1)),
		at(event.GroupDeleted, "", generation(1)),
		at(event.GroupGeneration, "", generation(1)),
	})
	require.Empty(t, wrong)
	require.Equal(t, past{
		unclean: map[string]bool{"orders-0": true}, created: map[string]time.Time{"orders": now},
		deleted: map[string]bool{"bills": true}, formed: map[string]time.Time{"billing": now},
	}, p)
	_, wrong = whatHappened([]brokersim.Event{at(event.GroupGeneration, "", generation(2)), at(event.GroupGeneration, "", generation(2))})
	require.Len(t, wrong, 1)
	_, wrong = whatHappened([]brokersim.Event{
		at(event.LeaderElected, "orders", map[string]any{"leader": int32(1), "epoch": int32(1)}),
		at(event.LeaderElected, "orders", map[string]any{"leader": int32(2), "epoch": int32(1)}),
	})
	require.Len(t, wrong, 1)
}

// An assignment is held to the topics that whoever made it must have known.
func TestAYoungTopicNeedsNoOwner(t *testing.T) {
	made := time.Unix(1000, 0)
	past := past{
		created: map[string]time.Time{"first": made, "young": made, "old": made.Add(-time.Minute), "gone": made.Add(-time.Minute)},
		deleted: map[string]bool{"gone": true}, formed: map[string]time.Time{"billing": made.Add(time.Second)},
	}
	c := &C{first: map[string]bool{"first": true}}
	for topic, was := range map[string]bool{"first": true, "young": false, "old": true, "gone": false, "of another life": true} {
		require.Equal(t, was, c.wasThere(topic, "billing", past), topic)
	}
	g := brokersim.GroupState{Protocol: "range", Members: []brokersim.GroupMember{{Subscribed: []string{"orders"}}}}
	require.True(t, sharesAll(g))
	g.Members = append(g.Members, brokersim.GroupMember{})
	require.False(t, sharesAll(g), "one does not tell")
	require.False(t, sharesAll(brokersim.GroupState{Protocol: "cooperative-sticky"}))
}
