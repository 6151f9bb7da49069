package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFailNextCounts(t *testing.T) {
	b := &Broker{}
	b.FailNext(0, 7, 2)
	heal := b.FailNext(0, 8, 5)
	b.FailNext(1, 9, 1)
	take := b.apis.failing.take
	require.Equal(t, []int16{7, 7, 8, 9, 0, 8}, []int16{take(0), take(0), take(0), take(1), take(1), take(0)})
	heal()
	heal()
	require.Zero(t, take(0))
	b.FailNext(3, 7, 0)
	require.Zero(t, take(3))
}
