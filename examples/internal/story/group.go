package story

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// A Group is what a cluster tells of a consumer group.
type Group struct {
	State      string
	Generation int32
	Leader     string             // the client that assigns
	Broker     int32              // the group's broker
	Owners     map[string][]int32 // who owns which partitions of Topic, by client id
	MemberIDs  map[string]string  // by client id
}

// DescribeGroup asks for a group, as any client would; generation and leader, which
// Kafka tells members only, are what the cluster's events say.
func DescribeGroup(ctx context.Context, c *brokersim.Cluster, name string) (g Group, err error) {
	var d kadm.DescribedGroup
	err = ask(c, func(admin *kadm.Client) error {
		groups, err := admin.DescribeGroups(ctx, name)
		d = groups[name]
		return errors.Join(err, groups.Error())
	})
	if err != nil {
		return g, fmt.Errorf("describing group %s: %w", name, err)
	}
	g = Group{State: d.State, Broker: d.Coordinator.NodeID, Owners: map[string][]int32{}, MemberIDs: map[string]string{}}
	var leader string
	g.Generation, leader = formed(ctx, c, name)
	for _, m := range d.Members {
		g.MemberIDs[m.ClientID] = m.MemberID
		if m.MemberID == leader {
			g.Leader = m.ClientID
		}
		g.Owners[m.ClientID] = nil
		if a, ok := m.Assigned.AsConsumer(); ok && len(a.Topics) == 1 {
			g.Owners[m.ClientID] = slices.Sorted(slices.Values(a.Topics[0].Partitions))
		}
	}
	return g, nil
}

// ask asks the cluster something with a client of its own: one that lives on would still
// look for the group's broker where it was before a crash.
func ask(c *brokersim.Cluster, question func(*kadm.Client) error) error {
	client, err := NewClient(c)
	if err != nil {
		return err
	}
	defer client.Close()
	return question(kadm.NewClient(client))
}

// formed returns a group's newest generation, and the member id of who led when it
// was formed.
func formed(ctx context.Context, c *brokersim.Cluster, group string) (generation int32, leader string) {
	last := c.Snapshot().Seq
	for e := range c.Events(ctx, 0) {
		switch {
		case e.Data["group"] != group:
		case e.Kind == event.GroupGeneration:
			generation, _ = e.Data["generation"].(int32)
			leader, _ = e.Data["leader"].(string)
		case e.Kind == event.GroupMemberReplaced && e.Data["old"] == leader:
			leader, _ = e.Data["member"].(string)
		}
		if e.Seq >= last {
			break
		}
	}
	return generation, leader
}

// Settled returns an error unless the group is at work, made of exactly these
// clients, and each of so many partitions has exactly one owner.
func (g Group) Settled(partitions int, clients ...string) error {
	members := slices.Sorted(maps.Keys(g.Owners))
	clients = slices.Sorted(slices.Values(clients))
	if g.State != "Stable" || !slices.Equal(members, clients) {
		return fmt.Errorf("it is %s with members %v, not Stable with %v", g.State, members, clients)
	}
	var owned []int32
	for _, ps := range g.Owners {
		owned = append(owned, ps...)
	}
	slices.Sort(owned)
	for i := range int32(partitions) {
		if n := len(owned); n != partitions || owned[i] != i {
			return fmt.Errorf("partitions %v of %d are owned", owned, partitions)
		}
	}
	return nil
}

// AwaitGroup waits until a group has settled.
func AwaitGroup(ctx context.Context, c *brokersim.Cluster, name string, partitions int, clients ...string) (g Group, err error) {
	err = await(ctx, func() error {
		if g, err = DescribeGroup(ctx, c, name); err != nil {
			return err
		}
		return g.Settled(partitions, clients...)
	})
	if err != nil {
		return g, fmt.Errorf("waiting for group %s: %w", name, err)
	}
	return g, nil
}

// AwaitCommitted waits until a group has committed all there is: its offsets are the ends
// of the partitions.
func AwaitCommitted(ctx context.Context, c *brokersim.Cluster, name string) error {
	err := await(ctx, func() error {
		return ask(c, func(admin *kadm.Client) error {
			lags, err := admin.Lag(ctx, name)
			if err = errors.Join(err, lags.Error()); err != nil {
				return err
			}
			if left := lags[name].Lag.Total(); left > 0 {
				return fmt.Errorf("%d records are still to come", left)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("waiting for what group %s commits: %w", name, err)
	}
	return nil
}

// await asks every few milliseconds until the answer is no error.
func await(ctx context.Context, question func() error) error {
	for {
		err := question()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; %w", err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// String says who owns what: "ann [0 2], bob [1]".
func (g Group) String() string {
	var parts []string
	for _, who := range slices.Sorted(maps.Keys(g.Owners)) {
		parts = append(parts, fmt.Sprintf("%s %v", who, g.Owners[who]))
	}
	return strings.Join(parts, ", ")
}
