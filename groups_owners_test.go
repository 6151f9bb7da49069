package brokersim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// owners are who believes to own which partition of a ledger of twelve, by what their clients tell them.
// A member is told that a partition is taken before it is taken, and commits nothing then.
type owners struct {
	t *testing.T
	c *brokertest.C

	mu      sync.Mutex
	of      map[int32]string
	doubles []string
	// How often a partition was given, and taken from somebody who lives.
	given, taken int
}

func watchOwners(t *testing.T, c *brokertest.C) *owners {
	return &owners{t: t, c: c, of: map[int32]string{}}
}

// member is a member of "billing" that works until it is closed.
func (o *owners) member(name string, opts ...kgo.Opt) *kgo.Client {
	gone := func(taken bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for _, p := range ps["ledger"] {
				delete(o.of, p)
				if taken {
					o.taken++
				}
			}
		}
	}
	w := worker(o.t, o.c, append([]kgo.Opt{
		kgo.ConsumeTopics("ledger"), kgo.MetadataMaxAge(time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for _, p := range ps["ledger"] {
				if other := o.of[p]; other != "" {
					o.doubles = append(o.doubles, fmt.Sprintf("%s is given %d while %s has it", name, p, other))
				}
				o.of[p] = name
				o.given++
			}
		}),
		kgo.OnPartitionsRevoked(gone(true)), kgo.OnPartitionsLost(gone(false)),
	}, opts...)...)
	go func() { // ends with the client's Close
		for !w.PollFetches(context.Background()).IsClientClosed() {
		}
	}()
	return w
}

// settle waits until the group has been stable with so many members for three heartbeats, and
// all of them know what they own.
func (o *owners) settle(admin *kadm.Client, members, partitions int) {
	o.t.Helper()
	var g kadm.DescribedGroup
	still, covered := 0, 0
	for looks := 0; still < 30 && looks < 1200; looks++ {
		time.Sleep(100 * time.Millisecond)
		all, err := admin.DescribeGroups(o.t.Context(), "billing")
		g = all["billing"]
		covered = len(o.now())
		if still++; err != nil || g.Err != nil || g.State != "Stable" || len(g.Members) != members || covered != partitions {
			still = 0
		}
	}
	require.Equal(o.t, 30, still, "%s with %d members, %d of %d partitions are somebody's", g.State, len(g.Members), covered, partitions)
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Empty(o.t, o.doubles)
}

// now is who owns what.
func (o *owners) now() map[int32]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	of := map[int32]string{}
	for p, name := range o.of {
		of[p] = name
	}
	return of
}

// forget begins to count anew, and returns what was taken.
func (o *owners) forget() (taken int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken, o.taken, o.given = o.taken, 0, 0
	return taken
}

// S48: members of a cooperative group keep what stays theirs through every rebalance, and no
// partition ever has two owners, whoever dies around them.
func TestS48NoDoubleOwnerCooperative(t *testing.T) {
	inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
		const partitions = 12
		o := watchOwners(t, c)
		cooperative := kgo.Balancers(kgo.CooperativeStickyBalancer())
		o.member("ann", cooperative)
		o.settle(admin, 1, partitions)
		for i, name := range []string{"bob", "cid"} {
			before := o.now()
			o.member(name, cooperative)
			o.settle(admin, i+2, partitions)
			moved := 0
			for p, is := range o.now() {
				if is != before[p] {
					moved++
					require.Equal(t, name, is, "nothing moves but to who is new")
				}
			}
			require.Equal(t, partitions/(i+2), moved)
			require.Equal(t, moved, o.forget(), "what stays is taken from nobody")
		}

		// A death around a group at rest moves nothing.
		before := o.now()
		described, err := admin.DescribeGroups(t.Context(), "billing")
		require.NoError(t, err)
		home := c.Broker(described["billing"].Coordinator.NodeID)
		require.NoError(t, home.Kill())
		o.settle(admin, 3, partitions)
		require.Equal(t, before, o.now())

		// One in the middle of a rebalance may: a client whose join breaks off gives up what it has.
		require.NoError(t, home.Start())
		c.Must(brokersim.FullISR())
		described, err = admin.DescribeGroups(t.Context(), "billing")
		require.NoError(t, err)
		dan := o.member("dan", cooperative)
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, c.Coordinator().Active().Kill())
		require.NoError(t, c.Broker(described["billing"].Coordinator.NodeID).Kill())
		o.settle(admin, 4, partitions)

		before = o.now()
		dan.Close()
		o.settle(admin, 3, partitions)
		for p, is := range o.now() {
			if before[p] != "dan" {
				require.Equal(t, before[p], is, "only what was dan's moves")
			}
		}
	}, brokersim.Topic("ledger", 12, 3))
}

// S45: members come and go faster than the group can settle. No partition has two owners on the
// way, and when they have come to rest everything is somebody's.
func TestS45RebalanceStorm(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{"eager": kgo.RangeBalancer(), "cooperative": kgo.CooperativeStickyBalancer()} {
		t.Run(name, func(t *testing.T) {
			inGroups(t, func(t *testing.T, c *brokertest.C, admin *kadm.Client) {
				const partitions = 12
				o := watchOwners(t, c)
				draw := rand.New(rand.NewPCG(45, 1))
				var at []*kgo.Client
				for i := range 40 {
					if len(at) < 2 || draw.IntN(5) < 3 {
						at = append(at, o.member(fmt.Sprint("m", i), kgo.Balancers(balancer)))
					} else {
						leaves := draw.IntN(len(at))
						at[leaves].Close()
						at[leaves] = at[len(at)-1]
						at = at[:len(at)-1]
					}
					time.Sleep(time.Duration(draw.IntN(700)) * time.Millisecond)
				}
				o.settle(admin, len(at), partitions)
				o.mu.Lock()
				defer o.mu.Unlock()
				require.Greater(t, o.given, 2*partitions, "it was a storm")
			}, brokersim.Topic("ledger", 12, 3))
		})
	}
}
