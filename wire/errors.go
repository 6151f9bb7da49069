package wire

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim/metadata"
)

// errorTable is the one place where our errors and Kafka's meet.
var errorTable = []struct {
	err   error
	kafka *kerr.Error
}{
	{metadata.ErrUnknownServer, kerr.UnknownServerError},
	{metadata.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	{metadata.ErrCorruptMessage, kerr.CorruptMessage},
	{metadata.ErrUnknownTopicOrPartition, kerr.UnknownTopicOrPartition},
	{metadata.ErrLeaderNotAvailable, kerr.LeaderNotAvailable},
	{metadata.ErrNotLeaderOrFollower, kerr.NotLeaderForPartition},
	{metadata.ErrRequestTimedOut, kerr.RequestTimedOut},
	{metadata.ErrBrokerNotAvailable, kerr.BrokerNotAvailable},
	{metadata.ErrReplicaNotAvailable, kerr.ReplicaNotAvailable},
	{metadata.ErrMessageTooLarge, kerr.MessageTooLarge},
	{metadata.ErrInvalidTopic, kerr.InvalidTopicException},
	{metadata.ErrNotEnoughReplicas, kerr.NotEnoughReplicas},
	{metadata.ErrNotEnoughReplicasAfterAppend, kerr.NotEnoughReplicasAfterAppend},
	{metadata.ErrClusterAuthorizationFailed, kerr.ClusterAuthorizationFailed},
	{metadata.ErrCoordinatorNotAvailable, kerr.CoordinatorNotAvailable},
	{metadata.ErrCoordinatorLoadInProgress, kerr.CoordinatorLoadInProgress},
	{metadata.ErrNotCoordinator, kerr.NotCoordinator},
	{metadata.ErrIllegalGeneration, kerr.IllegalGeneration},
	{metadata.ErrInconsistentGroupProtocol, kerr.InconsistentGroupProtocol},
	{metadata.ErrInvalidGroupID, kerr.InvalidGroupID},
	{metadata.ErrOffsetMetadataTooLarge, kerr.OffsetMetadataTooLarge},
	{metadata.ErrInvalidCommitOffsetSize, kerr.InvalidCommitOffsetSize},
	{metadata.ErrGroupSubscribedToTopic, kerr.GroupSubscribedToTopic},
	{metadata.ErrUnknownMemberID, kerr.UnknownMemberID},
	{metadata.ErrInvalidSessionTimeout, kerr.InvalidSessionTimeout},
	{metadata.ErrRebalanceInProgress, kerr.RebalanceInProgress},
	{metadata.ErrInvalidTimestamp, kerr.InvalidTimestamp},
	{metadata.ErrUnsupportedVersion, kerr.UnsupportedVersion},
	{metadata.ErrTopicAlreadyExists, kerr.TopicAlreadyExists},
	{metadata.ErrInvalidPartitions, kerr.InvalidPartitions},
	{metadata.ErrInvalidReplicationFactor, kerr.InvalidReplicationFactor},
	{metadata.ErrInvalidReplicaAssignment, kerr.InvalidReplicaAssignment},
	{metadata.ErrInvalidConfig, kerr.InvalidConfig},
	{metadata.ErrNotController, kerr.NotController},
	{metadata.ErrInvalidRequest, kerr.InvalidRequest},
	{metadata.ErrUnsupportedForMessageFormat, kerr.UnsupportedForMessageFormat},
	{metadata.ErrPolicyViolation, kerr.PolicyViolation},
	{metadata.ErrOutOfOrderSequenceNumber, kerr.OutOfOrderSequenceNumber},
	{metadata.ErrDuplicateSequenceNumber, kerr.DuplicateSequenceNumber},
	{metadata.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
	{metadata.ErrTransactionalIDAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed},
	{metadata.ErrStorage, kerr.KafkaStorageError},
	{metadata.ErrFetchSessionIDNotFound, kerr.FetchSessionIDNotFound},
	{metadata.ErrInvalidFetchSessionEpoch, kerr.InvalidFetchSessionEpoch},
	{metadata.ErrFencedLeaderEpoch, kerr.FencedLeaderEpoch},
	{metadata.ErrUnknownLeaderEpoch, kerr.UnknownLeaderEpoch},
	{metadata.ErrUnsupportedCompressionType, kerr.UnsupportedCompressionType},
	{metadata.ErrNonEmptyGroup, kerr.NonEmptyGroup},
	{metadata.ErrGroupIDNotFound, kerr.GroupIDNotFound},
	{metadata.ErrStaleBrokerEpoch, kerr.StaleBrokerEpoch},
	{metadata.ErrOffsetNotAvailable, kerr.OffsetNotAvailable},
	{metadata.ErrMemberIDRequired, kerr.MemberIDRequired},
	{metadata.ErrGroupMaxSizeReached, kerr.GroupMaxSizeReached},
	{metadata.ErrFencedInstanceID, kerr.FencedInstanceID},
	{metadata.ErrPreferredLeaderNotAvailable, kerr.PreferredLeaderNotAvailable},
	{metadata.ErrEligibleLeadersNotAvailable, kerr.EligibleLeadersNotAvailable},
	{metadata.ErrElectionNotNeeded, kerr.ElectionNotNeeded},
	{metadata.ErrInvalidRecord, kerr.InvalidRecord},
	{metadata.ErrInvalidUpdateVersion, kerr.InvalidUpdateVersion},
	{metadata.ErrSnapshotNotFound, kerr.SnapshotNotFound},
	{metadata.ErrPositionOutOfRange, kerr.PositionOutOfRange},
	{metadata.ErrUnknownTopicID, kerr.UnknownTopicID},
	{metadata.ErrDuplicateBrokerRegistration, kerr.DuplicateBrokerRegistration},
	{metadata.ErrBrokerIDNotRegistered, kerr.BrokerIDNotRegistered},
	{metadata.ErrInconsistentTopicID, kerr.InconsistentTopicID},
	{metadata.ErrInconsistentClusterID, kerr.InconsistentClusterID},
	{metadata.ErrIneligibleReplica, kerr.IneligibleReplica},
	{metadata.ErrNewLeaderElected, kerr.NewLeaderElected},
}

var errorByCode = func() map[int16]error {
	m := make(map[int16]error, len(errorTable))
	for _, row := range errorTable {
		m[row.kafka.Code] = row.err
	}
	return m
}()

// Code returns Kafka's code for err: 0 for nil, UNKNOWN_SERVER_ERROR for what
// is in no table.
func Code(err error) int16 {
	if err == nil {
		return 0
	}
	for _, row := range errorTable {
		if errors.Is(err, row.err) {
			return row.kafka.Code
		}
	}
	if k, ok := errors.AsType[*kerr.Error](err); ok {
		return k.Code
	}
	return kerr.UnknownServerError.Code
}

// Err returns the sentinel of package metadata that a code stands for, nil for
// 0. A code without a sentinel becomes a [*kerr.Error], from which [Code]
// gives the code again.
func Err(code int16) error {
	if code == 0 {
		return nil
	}
	if err := errorByCode[code]; err != nil {
		return err
	}
	if k := kerr.TypedErrorForCode(code); k != nil && k.Code == code {
		return k
	}
	return metadata.ErrUnknownServer
}
