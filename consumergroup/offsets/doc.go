// Package offsets is what groups have committed: how far each has come in each
// partition. It knows the records of __consumer_offsets, the table that they make, and
// what of it is too old. It is pure: no goroutine, lock, clock or disk. The fence
// that lets a commit in or not is package consumergroup's.
//
//	key                               value
//	OffsetCommitKey                   OffsetCommitValue: the offset, a note, when; null deletes
//	(group, topic, partition)
//	GroupMetadataKey (group)          none of ours: members are facts in Raft
//
// Both are Kafka's, so tools that read that topic understand it, and a topic that
// Kafka wrote can be read here: of its group metadata only the offsets beside it count.
// Values are of version 4, which names the topic by its id as well: an offset of a topic
// that was deleted and made again is not taken for the new one's. Version 1 is written
// where a client says itself when the offset is to expire.
//
// A new leader of a partition reads it from its start into a [Table] and appends [Marker],
// a tombstone of a group without a name, which nobody can have. Once that is committed, all
// before it is, and nothing of a former leader's can still come.
package offsets
