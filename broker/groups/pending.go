package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// acksAll asks for a commit by the in-sync replicas.
const acksAll = -1

// A pendingCommit is a commit that is written and not committed in its log yet. It belongs
// to the leader epoch in which it was written: that another one's high watermark
// passes its offset says nothing of it (KAFKA-20634).
type pendingCommit struct {
	replica *replication.Replica
	replication.Appended
}

// offsetCommitWait bounds how long a commit waits for its replicas: Kafka's
// offsets.commit.timeout.ms.
const offsetCommitWait = 5 * time.Second

// await waits until the in-sync replicas have it.
func (p *pendingCommit) await(ctx context.Context) error {
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, offsetCommitWait)
	defer cancel()
	return commitError(p.replica.AwaitCommitted(ctx, p.Appended))
}

// commitError translates what befell an append to the offsets topic for who knows
// only groups, as Kafka does.
func commitError(err error) error {
	if err == nil {
		return nil
	}
	for _, to := range []struct {
		err  error
		from []error
	}{
		{metadata.ErrCoordinatorNotAvailable, []error{
			metadata.ErrNotEnoughReplicas, metadata.ErrNotEnoughReplicasAfterAppend, metadata.ErrRequestTimedOut, metadata.ErrUnknownTopicOrPartition,
		}},
		{metadata.ErrNotCoordinator, []error{metadata.ErrNotLeaderOrFollower, metadata.ErrStorage}},
		{metadata.ErrInvalidCommitOffsetSize, []error{metadata.ErrMessageTooLarge}},
	} {
		if slices.ContainsFunc(to.from, func(from error) bool { return errors.Is(err, from) }) {
			return fmt.Errorf("%w: %w", to.err, err)
		}
	}
	return err
}
