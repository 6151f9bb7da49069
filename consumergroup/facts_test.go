package consumergroup

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

func someFacts() []Fact {
	b := Member{
		ID: "b-1", Instance: "two", ClientID: "b", ClientHost: "/127.0.0.1", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute,
		Protocols:  []Protocol{{"range", "orders"}, {"rr", strings.Repeat("long ", 30_000)}},
		Assignment: strings.Repeat("x", metadata.MaxString),
	}
	return []Fact{
		Rebalancing{"consumer", Returns, "a-1"},
		Formed{ClassicFacts{
			State: CompletingRebalance, Generation: 7, ProtocolType: "consumer", Protocol: "range", Leader: "a-1", Since: 12345,
			Members: []Member{{ID: "a-1"}, b},
		}},
		Assigned{[]Assignment{{"a-1", "0,1"}, {"b-1", ""}}},
		Replaced{"a-1", Member{ID: "a-2"}},
		Removed{[]string{"b-1"}, "a-2", Silent},
		Deleted{},
	}
}

func TestFactsSurviveTheirEncoding(t *testing.T) {
	encoded := AppendFacts(nil, someFacts())
	decoded, err := DecodeFacts(encoded)
	require.NoError(t, err)
	require.Equal(t, someFacts(), decoded)
	for n := range len(encoded) {
		if n > 200 && n < len(encoded)-200 {
			continue
		}
		_, err := DecodeFacts(encoded[:n])
		require.ErrorIs(t, err, metadata.ErrMalformed, "cut off after %d bytes", n)
	}
}

func TestReplay(t *testing.T) {
	facts := someFacts()
	f := Replay(nil, facts[:2]...)
	before := f
	f = Replay(f, facts[2:5]...)
	want := &ClassicFacts{
		State: Stable, Generation: 7, ProtocolType: "consumer", Protocol: "range", Leader: "a-2", Since: 12345, Members: []Member{{ID: "a-2"}},
	}
	require.Equal(t, want, f)
	formed := facts[1].(Formed)
	require.Equal(t, &formed.ClassicFacts, before, "facts are immutable")
	require.Equal(t, f, Replay(nil, Whole(f)...))
	require.Nil(t, Replay(f, Deleted{}))
	require.Nil(t, Whole(nil))
}

// A disk may lie: what contradicts the facts changes nothing, and a group is rebuilt
// out of anything.
func FuzzDecodeFacts(f *testing.F) {
	f.Add(AppendFacts(nil, someFacts()[2:]))
	f.Add(AppendFacts(nil, []Fact{Formed{ClassicFacts{State: Stable, Generation: 1 << 30, Members: []Member{{ID: "a"}, {ID: "a"}}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := DecodeFacts(b)
		if err != nil {
			require.ErrorIs(t, err, metadata.ErrMalformed)
			return
		}
		again, err := DecodeFacts(AppendFacts(nil, facts))
		require.NoError(t, err)
		require.Equal(t, facts, again)
		g, d, err := Rebuild("orders", defaultConfig(), Replay(nil, facts...), 1, epoch)
		require.NoError(t, err)
		g.Handle(Join{Token: 1, NewMemberID: "a", SessionTimeout: time.Minute, ProtocolType: "consumer", Protocols: []Protocol{{Name: "range"}}}, epoch)
		for range 20 {
			if d.Propose != nil {
				d = g.Committed(2, epoch)
			} else if !d.Next.IsZero() {
				d = g.Tick(d.Next)
			}
		}
	})
}
