package groups

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// What befalls an append to __consumer_offsets is told in the words of groups; and nearly every
// commit is told nothing, for which nothing may be allocated.
func TestCommitErrorsAreThoseOfGroups(t *testing.T) {
	for from, to := range map[error]error{
		metadata.ErrNotEnoughReplicas:   metadata.ErrCoordinatorNotAvailable,
		metadata.ErrRequestTimedOut:     metadata.ErrCoordinatorNotAvailable,
		metadata.ErrNotLeaderOrFollower: metadata.ErrNotCoordinator,
		metadata.ErrStorage:             metadata.ErrNotCoordinator,
		metadata.ErrMessageTooLarge:     metadata.ErrInvalidCommitOffsetSize,
		metadata.ErrIllegalGeneration:   metadata.ErrIllegalGeneration,
	} {
		require.ErrorIs(t, commitError(fmt.Errorf("orders-0: %w", from)), to)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := commitError(nil); err != nil {
			panic(err)
		}
	}))
}
