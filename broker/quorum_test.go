package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// round is the order in which a round tries the nodes.
func round(q *quorum, now time.Time) (order []int) {
	tried := make([]bool, len(q.addrs))
	for n, _, ok := q.next(tried, now); ok; n, _, ok = q.next(tried, now) {
		tried[n] = true
		order = append(order, n)
	}
	return order
}

func TestQuorumTriesTheBelievedNodeFirst(t *testing.T) {
	now := time.Unix(100, 0)
	q := newQuorum([]string{"a", "b", "c"})
	require.Equal(t, []int{0, 1, 2}, round(q, now))
	q.answered(1)
	require.Equal(t, []int{1, 2, 0}, round(q, now))

	q.unanswered(1, now.Add(time.Second))
	require.Equal(t, []int{2, 0, 1}, round(q, now), "a silent node costs time: the others first")
	_, probation, ok := q.next([]bool{true, false, true}, now)
	require.True(t, probation && ok)
	require.Equal(t, []int{1, 2, 0}, round(q, now.Add(time.Second)))
	q.unanswered(0, now.Add(time.Second))
	q.unanswered(2, now.Add(time.Second))
	require.Equal(t, []int{1, 2, 0}, round(q, now), "all were silent: any is as good")

	q.answered(2)
	require.Equal(t, []int{2, 0, 1}, round(q, now))
}

func TestQuorumEraEndsWithTheBelief(t *testing.T) {
	q := newQuorum([]string{"a", "b"})
	_, era := q.believed()
	q.answered(0)
	require.NoError(t, era.Err(), "the same node again")
	q.answered(1)
	require.Error(t, era.Err())
	active, era := q.believed()
	require.Equal(t, 1, active)
	require.NoError(t, era.Err())
}
