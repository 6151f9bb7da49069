// Package history is what clients were told, what they did and what they believed, and whether
// that can be. So far it knows the clients of consumer groups: what producers and
// readers of partitions are promised is judged where they are.
//
// A [Group] is told by the members themselves, each through its [Member], of what befalls
// them: a partition is assigned, a record delivered, a commit acknowledged, a partition
// revoked. It judges nothing meanwhile. [Group.Broken] does, and names each promise that was
// not kept:
//
//   - In one generation a partition is given to one member.
//   - No two live members believe at once that they own a partition. A belief ends when the
//     member is told (revoked, lost), when it ends, or when its session does: that one
//     who was cut off still believes is no wrong, it can do no harm.
//   - Whoever is given a partition begins no earlier than where the group had come to.
//   - What is committed goes back only by the partition's owner, or by a reset.
//   - Every record below a committed offset was delivered to somebody.
//
// With franz-go it takes three callbacks and three calls:
//
//	var billing history.Group
//	m := billing.Join("worker 1")
//	kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, p map[string][]int32) {
//		id, generation := cl.GroupMetadata()
//		m.Assigned(id, generation, p)
//	})
//	kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
//		m.Revoked(p) // and the same for OnPartitionsLost
//	})
//	... m.Delivered(r.Topic, r.Partition, r.Offset) for each record that a poll returned
//	... began := m.Committing() before a commit, and when that was acknowledged
//	... m.Committed(began, topic, partition, offset) for each partition of it
//
// In tests brokertest's C.History returns the one of a group: it hears from the cluster which
// sessions have ended, and is judged when the test is over.
//
// Start reading at group.go (what is told), then judge.go (what must hold).
package history
