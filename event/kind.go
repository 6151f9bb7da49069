package event

// A Kind says what happened. The comments name what Data holds.
type Kind string

// What happens to processes: emitted by the cluster.
const (
	BrokerStarted       Kind = "broker.started"
	BrokerStopped       Kind = "broker.stopped" // controlled shutdown ended
	BrokerKilled        Kind = "broker.killed"
	BrokerPoweredOff    Kind = "broker.powered-off"
	BrokerPaused        Kind = "broker.paused"
	BrokerResumed       Kind = "broker.resumed"
	BrokerFailed        Kind = "broker.failed" // it gave up by itself: "error"
	CoordinatorStarted  Kind = "coordinator.started"
	CoordinatorKilled   Kind = "coordinator.killed"
	CoordinatorPowerOff Kind = "coordinator.powered-off"
	CoordinatorPaused   Kind = "coordinator.paused"
	CoordinatorResumed  Kind = "coordinator.resumed"
	CoordinatorFailed   Kind = "coordinator.failed" // it gave up by itself: "error"
	FaultInjected       Kind = "fault.injected"     // "fault" (id), "what"
	FaultHealed         Kind = "fault.healed"       // "fault", "what"
	Lost                Kind = "event.lost"         // a slow reader missed "count" events
)

// What the coordinator decides: emitted once per metadata offset, but for the
// first three, which are observations of the active coordinator.
const (
	CoordinatorActive  Kind = "coordinator.active" // "term"
	BrokerGone         Kind = "broker.gone"        // its process refused a connection: "broker", "epoch"
	SessionExpired     Kind = "session.expired"    // silence: "broker", "epoch", "silent" (time.Duration)
	BrokerRegistered   Kind = "broker.registered"  // "broker", "epoch", "clean" (bool)
	BrokerUnfenced     Kind = "broker.unfenced"    // "broker", "epoch"
	BrokerFenced       Kind = "broker.fenced"      // "broker", "epoch", "reason"
	BrokerShuttingDown Kind = "broker.shutting-down"
	TopicCreated       Kind = "topic.created"  // "partitions", "rf"
	TopicDeleted       Kind = "topic.deleted"  //
	LeaderElected      Kind = "leader.elected" // "leader", "epoch", "why", "from" (old leader, -1 none), "unclean" (bool)
	LeaderLost         Kind = "leader.lost"    // nobody is eligible: "from", "epoch"
	ISRShrunk          Kind = "isr.shrunk"     // "isr", "left" ([]int32 both)
	ISRGrown           Kind = "isr.grown"      // "isr", "joined"
	ELRChanged         Kind = "elr.changed"    // "elr"
)

// What is committed of groups: emitted once per metadata offset. All have "group".
const (
	GroupRebalancing    Kind = "group.rebalancing"     // a generation is over: "generation", "member" (who is behind it, or ""), "why"
	GroupMemberJoined   Kind = "group.member-joined"   // "member", "instance", "client", "host"
	GroupMemberLeft     Kind = "group.member-left"     // it said so: "member", "why"
	GroupMemberExpired  Kind = "group.member-expired"  // it was removed: "member", "why"
	GroupMemberReplaced Kind = "group.member-replaced" // a static member's next process: "member", "old", "instance"
	GroupGeneration     Kind = "group.generation"      // a generation is formed: "generation", "members" (how many), "leader", "protocol"
	GroupStable         Kind = "group.stable"          // its assignment is committed: "generation", "members"
	GroupDeleted        Kind = "group.deleted"         //
)

// What replicas do: emitted by the broker that hosts them.
const (
	LogRecovered  Kind = "log.recovered"   // "leo", "torn" (bytes cut from the tail)
	LogDamaged    Kind = "log.damaged"     // "error" (file and position), "stays" (bool: it goes on, for nobody has better)
	LogTruncated  Kind = "log.truncated"   // "from", "to" (offsets), "why"
	LogReset      Kind = "log.reset"       // "to": everything dropped, refetched from there
	LogStartMoved Kind = "log.start-moved" // "from", "to" (offsets): what lies between is deleted; "why"
	LogCompacted  Kind = "log.compacted"   // "from", "to" (the offsets that were dirty); of what was written anew: "records", "kept", "bytes", "left"
	OffsetsLoaded Kind = "offsets.loaded"  // this replica leads, and its broker is that of some groups: "groups", "offsets" (how many), "epoch"
	EpochStarted  Kind = "epoch.started"   // this replica leads: "epoch", "offset"
	HWAdvanced    Kind = "hw.advanced"     // "hw"; only on request
	CaughtUp      Kind = "replica.caught-up"
	FetcherFailed Kind = "fetcher.failed" // "leader", "error"; once per outage
)
