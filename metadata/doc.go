// Package metadata holds the nouns of a cluster: what every node agrees on, the
// changes that lead from one agreement to the next, and the words for all of it.
//
// It decides nothing and waits for nothing. Decisions are coordinator/state's; how a
// broker hears of them is coordinator's and broker's. Everything here is a value:
// once published it is never written to, so that a reader may keep it.
//
// # How the agreement travels
//
//	commands ──► coordinator/state.Apply ──► deltas ──► the log __cluster_metadata
//	 (Raft)              │                                      │ brokers fetch it
//	                     ▼                                      ▼
//	                   Image  ═════════ equal bytes ═════════ Image
//
// An [Image] is one immutable state of the cluster. A [Delta] is one change of it;
// all deltas of one command bear the command's metadata offset. [Image.Apply] copies
// what the deltas touch and shares the rest. A node that is too far behind gets the
// whole Image instead. Equal images have equal bytes, however they came about.
//
// # Words
//
// Each has one meaning, everywhere. All ends are exclusive, always.
//
//	record                 what a producer sends: key, value, headers, timestamp
//	batch                  records that were sent together; the unit on disk and on the wire
//	log start offset       the first offset that is still kept
//	log end offset (LEO)   the offset that the next record will get
//	high watermark (HW)    the first offset that is not committed; start ≤ HW ≤ LEO
//	committed record       a record below the HW: it survives whatever the cluster survives
//	segment                one file of a log, named after its first offset
//	divergence             two replicas that hold different records at one offset
//	truncation             cutting a log's tail where it diverges from the leader's
//
//	topic                  a named set of partitions; its id tells it from a later one of the same name
//	partition              one ordered log of a topic (networks are cut and healed, not partitioned)
//	replicas               the brokers that hold a partition, in order of preference
//	preferred leader       the first of the replicas
//	leader                 the replica that takes writes; of Raft say active coordinator, of a
//	                       consumer group say group leader
//	follower               a replica that fetches from the leader, as a consumer would
//	ISR                    the in-sync replicas, the leader among them: who has to have a record
//	                       before it is committed
//	maximal ISR            the ISR together with any change of it that is under way; the HW goes by it
//	min ISR                min.insync.replicas, but never more than there are replicas
//	ELR                    eligible leader replicas (KIP-966): not in sync any more, yet they hold
//	                       everything committed, since nothing is committed below min ISR
//	last known leader      who led when the ISR became empty
//	unclean election       a leader that may lack committed records: available, not complete
//	recovering             a leader elected so that has not yet said that it is done with it
//
//	leader epoch           number of one leadership of one partition; it stands in every batch
//	partition epoch        version of a partition's state: compare and set
//	broker epoch           number of one registration: the metadata offset that made it; a request
//	                       with an older one comes from a zombie
//	metadata offset        where an entry stands in the metadata log; gaps are legal
//	incarnation            one process of a broker; it keeps its broker epoch however often it registers
//
//	coordinator            what Kafka calls the controller; its nodes elect an active one by Raft
//	registered             known to the cluster; starts out fenced
//	fenced                 no leader, in no ISR: heartbeats are missing, or it has not caught up with
//	                       the metadata log yet
//	unfenced               takes part
//	shutting down          in controlled shutdown (KIP-841): leads nothing any more, about to be gone
//	clean restart          of a process that proved that its disk holds all it ever told anyone
//
//	group, member          consumers that share a topic's partitions, and one of them
//	generation             number of one assignment of partitions to the members
//	facts                  what is committed of a group: members, generation, assignments
//	the group's broker     the broker that serves a group (Kafka: group coordinator)
//	commit                 of a record, of a Raft entry, of an offset: say which
//
// Offsets and broker epochs are int64, epochs and ids int32, as in the protocol; so
// the two are not swapped by mistake.
//
// # Configs
//
// configs.go is one table of every config: its type, our default and Kafka's, and the
// field of [TopicConfig] or [BrokerConfig] that it sets. Nothing else parses or checks
// one; a name that is not there is [ErrInvalidConfig].
//
// # Encoding
//
// encoder.go says how values become bytes; deltas, images and the coordinator's
// commands share it. The first byte is [Version]. A [Decoder] takes any bytes: it
// answers [ErrMalformed], never panics, and allocates a small multiple of their length
// at most. testdata/golden.txt pins the bytes, since they are on people's disks.
//
// # Errors
//
// errors.go has every error that a client can see, under Kafka's name. Rooms wrap one
// once, with %w and the place; package wire maps them to Kafka's codes.
//
// # Groups
//
// Of each group the image keeps the bytes that make it: a whole, and what has changed
// since (groups.go). They are opaque here. [GroupPartition] says who the group's broker is.
//
// Start reading at image.go, then delta.go.
package metadata
