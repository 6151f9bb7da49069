package metadata

import "errors"

// The errors that a client can see, under Kafka's names. Rooms wrap them once,
// with where it happened; package wire holds the one table that maps them to
// Kafka's codes. Each comment says when the error is returned.
var (
	// Of a partition's log.

	// ErrOffsetOutOfRange: the offset lies below the log start or above what may be read.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCorruptMessage: a batch whose CRC, length or layout is wrong.
	ErrCorruptMessage = errors.New("corrupt message")
	// ErrInvalidRecord: a batch that is well formed but breaks a rule for produced records.
	ErrInvalidRecord = errors.New("invalid record")
	// ErrInvalidTimestamp: a record's timestamp is outside what the topic accepts.
	ErrInvalidTimestamp = errors.New("invalid timestamp")
	// ErrMessageTooLarge: a batch above max.message.bytes.
	ErrMessageTooLarge = errors.New("message too large")
	// ErrUnsupportedForMessageFormat: a batch of message format 0 or 1.
	ErrUnsupportedForMessageFormat = errors.New("unsupported message format")
	// ErrUnsupportedCompressionType: attributes name no codec that Kafka has.
	ErrUnsupportedCompressionType = errors.New("unsupported compression type")
	// ErrStorage: the disk failed.
	ErrStorage = errors.New("storage error")

	// Of an idempotent producer.

	// ErrOutOfOrderSequenceNumber: a batch does not follow its producer's last one.
	ErrOutOfOrderSequenceNumber = errors.New("out of order sequence number")
	// ErrDuplicateSequenceNumber: a batch repeats one that is older than the five remembered.
	ErrDuplicateSequenceNumber = errors.New("duplicate sequence number")
	// ErrInvalidProducerEpoch: a newer incarnation of the producer has written.
	ErrInvalidProducerEpoch = errors.New("invalid producer epoch")

	// Of a partition's leadership.

	// ErrNotLeaderOrFollower: this broker does not lead the partition (any more).
	ErrNotLeaderOrFollower = errors.New("not leader or follower")
	// ErrLeaderNotAvailable: the partition has no leader just now.
	ErrLeaderNotAvailable = errors.New("leader not available")
	// ErrFencedLeaderEpoch: the request names an older leader epoch than the broker knows.
	ErrFencedLeaderEpoch = errors.New("fenced leader epoch")
	// ErrUnknownLeaderEpoch: the request names a newer leader epoch than the broker knows.
	ErrUnknownLeaderEpoch = errors.New("unknown leader epoch")
	// ErrOffsetNotAvailable: a new leader does not know the end of what is committed yet (KIP-207).
	ErrOffsetNotAvailable = errors.New("offset not available")
	// ErrNotEnoughReplicas: acks=all, and the ISR is below min.insync.replicas; nothing was appended.
	ErrNotEnoughReplicas = errors.New("not enough replicas")
	// ErrNotEnoughReplicasAfterAppend: appended, but the ISR shrank below min.insync.replicas meanwhile.
	ErrNotEnoughReplicasAfterAppend = errors.New("not enough replicas after append")
	// ErrRequestTimedOut: the time that the request allowed has passed; its effect may still come.
	ErrRequestTimedOut = errors.New("request timed out")
	// ErrReplicaNotAvailable: this broker holds no replica that may be read.
	ErrReplicaNotAvailable = errors.New("replica not available")
	// ErrUnknownServer: something of our own went wrong; the log of the broker says what.
	ErrUnknownServer = errors.New("unknown server error")

	// Of the cluster's metadata.

	// ErrUnknownTopicOrPartition: no topic of that name, or no such partition of it.
	ErrUnknownTopicOrPartition = errors.New("unknown topic or partition")
	// ErrUnknownTopicID: no topic with that id.
	ErrUnknownTopicID = errors.New("unknown topic id")
	// ErrInconsistentTopicID: a fetch session's topic was deleted and made again.
	ErrInconsistentTopicID = errors.New("inconsistent topic id")
	// ErrTopicAlreadyExists: a topic of that name is there.
	ErrTopicAlreadyExists = errors.New("topic already exists")
	// ErrInvalidTopic: a name that Kafka does not allow, or that collides with another one.
	ErrInvalidTopic = errors.New("invalid topic")
	// ErrInvalidPartitions: a number of partitions below one.
	ErrInvalidPartitions = errors.New("invalid partitions")
	// ErrInvalidReplicationFactor: below one, or more than there are usable brokers.
	ErrInvalidReplicationFactor = errors.New("invalid replication factor")
	// ErrInvalidReplicaAssignment: replicas that repeat, are unknown or differ in number.
	ErrInvalidReplicaAssignment = errors.New("invalid replica assignment")
	// ErrInvalidConfig: a config that is not accepted, or has a value of the wrong kind.
	ErrInvalidConfig = errors.New("invalid config")
	// ErrInvalidRequest: a request that contradicts itself or that this node cannot accept.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrUnsupportedVersion: a request that this node does not speak.
	ErrUnsupportedVersion = errors.New("unsupported version")
	// ErrPolicyViolation: allowed by the protocol, not by the topic's configs.
	ErrPolicyViolation = errors.New("policy violation")
	// ErrElectionNotNeeded: the leader is already the one asked for.
	ErrElectionNotNeeded = errors.New("election not needed")
	// ErrPreferredLeaderNotAvailable: the preferred replica may not lead now.
	ErrPreferredLeaderNotAvailable = errors.New("preferred leader not available")
	// ErrEligibleLeadersNotAvailable: no replica may lead now.
	ErrEligibleLeadersNotAvailable = errors.New("eligible leaders not available")
	// ErrTransactionalIDAuthorizationFailed: how transactions are refused while there are none.
	ErrTransactionalIDAuthorizationFailed = errors.New("transactional id authorization failed")
	// ErrClusterAuthorizationFailed: a client sent what only the cluster's own nodes may send.
	ErrClusterAuthorizationFailed = errors.New("cluster authorization failed")
	// ErrInconsistentClusterID: the request is meant for another cluster.
	ErrInconsistentClusterID = errors.New("inconsistent cluster id")

	// Of a group.

	// ErrCoordinatorNotAvailable: nobody can decide for the group just now; ask again.
	ErrCoordinatorNotAvailable = errors.New("coordinator not available")
	// ErrCoordinatorLoadInProgress: the group's broker still reads what is committed; ask again.
	ErrCoordinatorLoadInProgress = errors.New("coordinator load in progress")
	// ErrNotCoordinator: this broker is not the group's broker (any more).
	ErrNotCoordinator = errors.New("not coordinator")
	// ErrIllegalGeneration: the request names another generation than the group is in.
	ErrIllegalGeneration = errors.New("illegal generation")
	// ErrInconsistentGroupProtocol: no protocol that all members have, or another type of protocol.
	ErrInconsistentGroupProtocol = errors.New("inconsistent group protocol")
	// ErrUnknownMemberID: the group has no member of that id (any more).
	ErrUnknownMemberID = errors.New("unknown member id")
	// ErrInvalidSessionTimeout: outside group.min.session.timeout.ms and group.max.session.timeout.ms.
	ErrInvalidSessionTimeout = errors.New("invalid session timeout")
	// ErrRebalanceInProgress: the generation is over, or not assigned yet; join again.
	ErrRebalanceInProgress = errors.New("rebalance in progress")
	// ErrInvalidGroupID: a group without a name, or with one that is too long.
	ErrInvalidGroupID = errors.New("invalid group id")
	// ErrNonEmptyGroup: a group with members is not deleted.
	ErrNonEmptyGroup = errors.New("non-empty group")
	// ErrGroupIDNotFound: no group of that id.
	ErrGroupIDNotFound = errors.New("group id not found")
	// ErrMemberIDRequired: join again with the member id that the answer has (KIP-394).
	ErrMemberIDRequired = errors.New("member id required")
	// ErrGroupMaxSizeReached: the group has group.max.size members.
	ErrGroupMaxSizeReached = errors.New("group max size reached")
	// ErrOffsetMetadataTooLarge: the note of an offset commit is above offset.metadata.max.bytes.
	ErrOffsetMetadataTooLarge = errors.New("offset metadata too large")
	// ErrInvalidCommitOffsetSize: the offsets of one commit do not fit into a batch of the offsets topic.
	ErrInvalidCommitOffsetSize = errors.New("invalid commit offset size")
	// ErrGroupSubscribedToTopic: an offset is not deleted while a member subscribes to its topic.
	ErrGroupSubscribedToTopic = errors.New("group subscribed to topic")
	// ErrFencedInstanceID: another process has taken the static member's place (KIP-345).
	ErrFencedInstanceID = errors.New("fenced instance id")

	// Between the nodes.

	// ErrNotController: this coordinator node is not the active one, or does not know the outcome.
	ErrNotController = errors.New("not controller")
	// ErrStaleBrokerEpoch: a broker epoch that is not the registered one.
	ErrStaleBrokerEpoch = errors.New("stale broker epoch")
	// ErrBrokerIDNotRegistered: a heartbeat of a broker that never registered.
	ErrBrokerIDNotRegistered = errors.New("broker id not registered")
	// ErrDuplicateBrokerRegistration: another process holds that broker id and its session lives.
	ErrDuplicateBrokerRegistration = errors.New("duplicate broker registration")
	// ErrInvalidUpdateVersion: the partition epoch is not the current one.
	ErrInvalidUpdateVersion = errors.New("invalid update version")
	// ErrIneligibleReplica: a broker that may not join the ISR: fenced, shutting down or re-registered.
	ErrIneligibleReplica = errors.New("ineligible replica")
	// ErrNewLeaderElected: the change was made and moved the leadership away.
	ErrNewLeaderElected = errors.New("new leader elected")
	// ErrFetchSessionIDNotFound: the fetch session was evicted.
	ErrFetchSessionIDNotFound = errors.New("fetch session id not found")
	// ErrInvalidFetchSessionEpoch: a request of the fetch session was lost or repeated.
	ErrInvalidFetchSessionEpoch = errors.New("invalid fetch session epoch")
	// ErrSnapshotNotFound: that snapshot of the metadata is not there any more.
	ErrSnapshotNotFound = errors.New("snapshot not found")
	// ErrPositionOutOfRange: a position past the end of a snapshot.
	ErrPositionOutOfRange = errors.New("position out of range")
	// ErrBrokerNotAvailable: no coordinator node can be reached.
	ErrBrokerNotAvailable = errors.New("broker not available")
)
