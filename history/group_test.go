package history

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A tale is a history of a group with two members, told a millisecond apart.
type tale struct {
	g    *Group
	a, b *Member
}

type step func(tale)

func orders(partitions ...int32) map[string][]int32 { return map[string][]int32{"orders": partitions} }

func assigned(b bool, id string, generation int32) step {
	return func(t tale) { t.who(b).Assigned(id, generation, orders(0)) }
}
func revoked(b bool) step { return func(t tale) { t.who(b).Revoked(orders(0)) } }
func left(b bool) step    { return func(t tale) { t.who(b).Left() } }
func expired(id string) step {
	return func(t tale) { t.g.Expired(id, time.Now()) }
}
func reset(offset int64) step { return func(t tale) { t.g.Reset("orders", 0, offset) } }
func read(b bool, from, to int64) step {
	return func(t tale) {
		for o := from; o < to; o++ {
			t.who(b).Delivered("orders", 0, o)
		}
	}
}
func committed(b bool, offset int64) step {
	return func(t tale) { t.who(b).Committed(t.who(b).Committing(), "orders", 0, offset) }
}

// late is a commit during which other things happen.
func late(b bool, offset int64, meanwhile ...step) step {
	return func(t tale) {
		began := t.who(b).Committing()
		for _, s := range meanwhile {
			s(t)
		}
		t.who(b).Committed(began, "orders", 0, offset)
	}
}

func (t tale) who(b bool) *Member {
	if b {
		return t.b
	}
	return t.a
}

const ann, bob = false, true

func tell(t *testing.T, steps []step) (broken []error) {
	synctest.Test(t, func(*testing.T) {
		g := &Group{}
		tale := tale{g, g.Join("ann"), g.Join("bob")}
		for _, s := range steps {
			s(tale)
			time.Sleep(time.Millisecond)
		}
		broken = g.Broken()
	})
	return broken
}

// Each history breaks one promise; that one must be named, and no other.
func TestWrongHistoriesAreFound(t *testing.T) {
	for want, steps := range map[string][]step{
		"ann (generation 1) owned orders-0 still when bob (generation 2) did":                                {assigned(ann, "a-1", 1), assigned(bob, "b-1", 2), revoked(ann)},
		"bob (generation 1) owned orders-0 still when ann (generation 2) did":                                {assigned(bob, "b-1", 1), assigned(ann, "a-1", 2)},
		"ann (generation 1) owned orders-0 still when bob (generation 3) did":                                {assigned(ann, "a-1", 1), assigned(bob, "b-1", 3), expired("a-1")},
		"orders-0 was given to ann and to bob in generation 1":                                               {assigned(ann, "a-1", 1), revoked(ann), assigned(bob, "b-1", 1)},
		"bob, who does not own orders-0, committed 3 there after 5 was committed":                            {read(ann, 0, 5), assigned(ann, "a-1", 1), committed(ann, 5), committed(bob, 3)},
		"ann, who does not own orders-0, committed 2 there after 5 was committed":                            {assigned(ann, "a-1", 1), read(ann, 0, 3), expired("a-1"), assigned(bob, "b-1", 2), read(bob, 0, 5), committed(bob, 5), committed(ann, 2)},
		"ann, who does not own orders-0, committed 1 there after 4 was committed":                            {assigned(ann, "a-1", 1), read(ann, 0, 4), committed(ann, 4), revoked(ann), committed(ann, 1)},
		"bob, who does not own orders-0, committed 2 there after 5 was committed":                            {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), late(bob, 2, revoked(ann), assigned(bob, "b-1", 2))},
		"bob began orders-0 at offset 2 in generation 2, though 5 had been committed":                        {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), revoked(ann), assigned(bob, "b-1", 2), read(bob, 2, 6)},
		"2 records of orders-0 below the committed offset 5 were delivered to nobody, the first at offset 3": {assigned(ann, "a-1", 1), read(ann, 0, 3), committed(ann, 5)},
		"1 records of orders-0 below the committed offset 9 were delivered to nobody, the first at offset 7": {reset(7), assigned(ann, "a-1", 1), read(ann, 8, 9), committed(ann, 9)},
		"1 records of orders-0 below the committed offset 4 were delivered to nobody, the first at offset 3": {assigned(ann, "a-1", 1), read(ann, 0, 3), committed(ann, 4), reset(0), read(ann, 0, 3)},
	} {
		t.Run(want, func(t *testing.T) {
			broken := tell(t, steps)
			require.Len(t, broken, 1, "%v", broken)
			require.EqualError(t, broken[0], want)
		})
	}
}

// What may happen to a group must not be flagged.
func TestRightHistoriesAreNot(t *testing.T) {
	for name, steps := range map[string][]step{
		"nothing":                             nil,
		"a handover":                          {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), revoked(ann), assigned(bob, "b-1", 2), read(bob, 5, 6)},
		"kept over a rebalance":               {assigned(ann, "a-1", 1), assigned(ann, "a-1", 2), revoked(ann), assigned(bob, "b-1", 3)},
		"a zombie believes":                   {assigned(ann, "a-1", 1), expired("a-1"), assigned(bob, "b-1", 2), revoked(ann)},
		"a zombie comes back":                 {assigned(ann, "a-1", 1), expired("a-1"), assigned(bob, "b-1", 2), revoked(ann), revoked(bob), assigned(ann, "a-2", 3)},
		"a crash":                             {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 3), left(ann), assigned(bob, "b-1", 2), read(bob, 3, 6), committed(bob, 6)},
		"the next process of a static member": {assigned(ann, "a-1", 1), left(ann), assigned(bob, "a-2", 1)},
		"its next process, while the first is a zombie":    {assigned(ann, "a-1", 1), expired("a-1"), assigned(bob, "a-2", 1), revoked(ann)},
		"an owner that seeks":                              {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), committed(ann, 2), read(ann, 2, 5)},
		"a reset to the past":                              {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), left(ann), reset(0), assigned(bob, "b-1", 2), read(bob, 0, 2), committed(bob, 2)},
		"a reset to the future":                            {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), reset(90), read(ann, 90, 91), committed(ann, 91)},
		"an ack that comes late":                           {assigned(ann, "a-1", 1), read(ann, 0, 5), late(ann, 2, expired("a-1"), assigned(bob, "b-1", 2), read(bob, 2, 6), committed(bob, 6))},
		"a delivery that is told late":                     {assigned(ann, "a-1", 1), read(ann, 0, 3), committed(ann, 5), revoked(ann), assigned(ann, "a-1", 2), read(ann, 3, 5)},
		"given up and taken again":                         {assigned(ann, "a-1", 1), revoked(ann), assigned(ann, "a-1", 1)},
		"two commits at the same time":                     {assigned(ann, "a-1", 1), read(ann, 0, 5), late(bob, 3, committed(ann, 5))},
		"a reset that an owner may have begun with":        {assigned(ann, "a-1", 1), read(ann, 0, 5), committed(ann, 5), revoked(ann), assigned(bob, "b-1", 2), reset(2), read(bob, 2, 6)},
		"who commits without belonging, and does not harm": {committed(bob, 0)},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, tell(t, steps)) })
	}
}

// A commit without its beginning is held to what can be said of it all the same.
func TestCommitsWithoutABeginning(t *testing.T) {
	g := &Group{}
	m := g.Join("ann")
	m.Committed(0, "orders", 0, 2)
	m.Committed(0, "orders", 0, 1)
	require.Len(t, g.Broken(), 1)
	require.ErrorContains(t, g.Broken()[0], "2 records of orders-0 below the committed offset 2")
}
