package broker

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// KIP-730: whoever asks, no id is given out twice, and a block is used up before
// the next one is asked for.
func TestProducerIDsAreUnique(t *testing.T) {
	blocks := int64(0)
	ids := newProducerIDs(1, func() int64 { return 5 }, func(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
		require.Equal(t, int64(5), req.(*kmsg.AllocateProducerIDsRequest).BrokerEpoch)
		blocks++
		return &kmsg.AllocateProducerIDsResponse{ProducerIDStart: blocks * 1000, ProducerIDLen: 10}, nil
	})
	var mu sync.Mutex
	given := map[int64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				id, err := ids.next(t.Context())
				mu.Lock()
				if err != nil || given[id] {
					t.Errorf("id %d, twice or with %v", id, err)
				}
				given[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, given, 100)
	require.Equal(t, int64(10), blocks)
}

func TestProducerIDsRefused(t *testing.T) {
	answer, sent := &kmsg.AllocateProducerIDsResponse{ErrorCode: 77}, error(nil)
	ids := newProducerIDs(1, func() int64 { return 5 }, func(context.Context, kmsg.Request) (kmsg.Response, error) { return answer, sent })
	_, err := ids.next(t.Context())
	require.ErrorIs(t, err, metadata.ErrStaleBrokerEpoch)

	answer = &kmsg.AllocateProducerIDsResponse{ProducerIDStart: 5}
	_, err = ids.next(t.Context())
	require.ErrorIs(t, err, metadata.ErrUnknownServer, "an empty block")

	sent = errors.New("nobody there")
	_, err = ids.next(t.Context())
	require.ErrorIs(t, err, sent)
}
