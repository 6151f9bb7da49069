package groups

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// unreachable is a channel that finds no coordinator.
type unreachable struct{}

func (unreachable) Do(context.Context, kmsg.Request) (kmsg.Response, error) {
	return nil, fmt.Errorf("%w: no coordinator answered", metadata.ErrBrokerNotAvailable)
}

// Clients of groups do not know BROKER_NOT_AVAILABLE, which is what a broker says who found no
// coordinator: whatever they ask, they are told that there is none for the group.
func TestARelayThatFindsNoCoordinator(t *testing.T) {
	g := New(t.Context(), Config{ID: 1})
	s := newShard(g, 0, 1, nil)
	for _, req := range []kmsg.Request{
		kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrHeartbeatRequest(),
		kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrDeleteGroupsRequest(),
	} {
		r := relay{groups: g, shard: s, channel: unreachable{}, Relay: wire.Relay{Broker: 1, LeaderEpoch: 1}}
		_, err := r.do(t.Context(), req)
		require.ErrorIs(t, err, metadata.ErrCoordinatorNotAvailable, kmsg.NameForKey(req.Key()))
		require.NotErrorIs(t, err, metadata.ErrBrokerNotAvailable)
		require.Equal(t, kerr.CoordinatorNotAvailable.Code, wire.Code(err))
		require.ErrorContains(t, err, "no coordinator answered", "it says why")
	}
}
