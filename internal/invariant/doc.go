// Package invariant is the god view: what must hold of a cluster at any moment,
// whatever has been done to it, checked over plain values that somebody who can
// see everything has collected.
//
// It knows no node, no goroutine and no clock. A [View] is what was seen of
// one partition: what the coordinator decided and what each running replica
// held. [Check] returns every rule that it breaks; [CheckGroup] does so for a [Group] of
// consumers. A [History] remembers what no single look can show: who was elected in which
// epoch, which generations were formed.
//
// # The rules
//
// Of what was decided:
//
//   - the leader, the ISR and the ELR are assigned replicas, none twice
//   - the leader is in the ISR; ISR and ELR share nobody
//   - no fenced broker is in the ISR or leads
//   - an ISR of at least min.insync.replicas goes with an empty ELR
//   - one leader an epoch
//
// Of what replicas hold:
//
//   - log start ≤ high watermark ≤ log end
//   - the leader's high watermark is not above the smallest log end of its maximal ISR
//   - offsets are dense and rising, epochs do not fall, and none is above the
//     newest that was decided
//   - any two logs agree, byte for byte, below both of their high watermarks
//   - every member of ISR and ELR reaches the highest high watermark that any
//     leader of this epoch has
//
// Of groups:
//
//   - no member and no instance twice; the group leader is a member; Empty is without members
//   - a partition has one owner at most, and where members share all, one each
//   - generations only rise
//   - nothing is committed beyond a high watermark
//
// # What makes a look fair
//
// Replicas are looked at one after another while the cluster runs. All rules are
// of the kind that stays true however the looks lie: a log never changes below its
// high watermark, log ends of in-sync replicas were there before the high
// watermark. A replica that has to truncate after an unclean election may hold a
// high watermark that was given up; such partitions say so (View.Unclean), and the
// rules that compare replicas are then only asked of the ISR.
//
// Start reading at view.go, and at group.go.
package invariant
