// Package partition keeps one replica's log: the records of a partition, in the
// order and in the bytes in which its leader wrote them. The files are Kafka's.
//
// # What it is
//
// A Log appends batches as a leader (AppendAsLeader) or as a follower
// (AppendAsFollower), reads whole batches by offset, cuts its end off when another
// leader's log parts from it (Truncate), begins anew (Reset), moves its start
// (SetLogStart, perhaps into a batch), and knows two things about what is in it: where each leader epoch
// begins, and what each idempotent producer sent last. Both are functions of the
// bytes, so every replica that has the same bytes knows the same.
//
// # What it is not
//
// It does not know who leads, what is committed, or that there are other replicas:
// the bound of a read is an argument. It has no goroutine and no clock, and emits
// no events; replication and broker do that.
//
// # Rules
//
//  1. Nothing is shown before write(2) has returned for it, or the sync that
//     flush.messages asks for. Shown means all at once: it can be read, it counts in
//     LogEndOffset, and whoever appended it may say so.
//  2. Bytes are never re-encoded, so all replicas hold the same. The leader patches
//     the base offset and the leader epoch, which lie outside of the checksum;
//     LogAppendTime and a wrong maxTimestamp cost a new checksum. Only a topic
//     whose compression.type differs from the batch's makes a new batch, and a
//     compaction that leaves out some of a batch's records.
//  3. Offsets never go back along a log, and neither do epochs. Unless a compaction
//     has left records out, offsets are dense.
//  4. After a crash a log is a prefix of what was appended, never less than what was
//     synced, never a record that is damaged. Hence the order of things: a segment
//     is synced before the next one begins, everything before a snapshot says so, a cut is durable before anything is
//     appended in its place, and an epoch is in its checkpoint before its first batch.
//  5. A disk that failed once is not written to again (ErrStorage). In particular no
//     sync is ever repeated, since a second one may say that all is well.
//
// # The files
//
//	orders-0/
//	├── 00000000000000000000.log     batches, from offset 0 on
//	├── 00000000000000000000.index   the way into them
//	├── 00000000000000000000.timeindex  and by timestamp
//	├── 00000000000000000000.milestones  what the headers up to there add up to; not Kafka's
//	├── 00000000000000004711.log     the active segment begins at offset 4711
//	├── 00000000000000004711.index
//	├── 00000000000000004711.timeindex
//	├── 00000000000000004711.milestones
//	├── 00000000000000004711.snapshot   producers, and what is below 4711; snapshot.go draws it
//	├── leader-epoch-checkpoint      "0\n2\n3 0\n5 4600\n": version, count, epoch and start
//	├── partition.metadata           "version: 0\ntopic_id: ...\n"
//	├── *.deleted                    a segment on its way out, gone after the next start at the latest
//	├── *.cleaned                    a compacted segment in the making, gone likewise
//	├── *.swap                       one that takes the place of others: Open ends what was begun
//	└── offset-gaps                  there if compaction has left out offsets; not Kafka's
//
// Kafka's own tools and code read all of it (make dump-check), and logs that Kafka
// wrote are read here (testdata/kafka-4.1), if offset-gaps is put beside compacted ones. If
// Kafka has cut or compacted a log of ours, its files of milestones are to be removed.
//
// A .log file is one batch after the other, numbers with the highest byte first:
//
//	 0        8    12   16 17   21 23   27       35       43       51 53   57   61
//	┌────────┬────┬────┬─┬────┬──┬────┬────────┬────────┬────────┬──┬────┬────┬───────┐
//	│ base   │size│lead│2│CRC │at│last│ base   │ max    │producer│pe│base│    │records│
//	│ offset │-12 │epo.│ │-32C│tr│off.│ timest.│ timest.│ id     │  │seq.│cnt │ ...   │
//	└────────┴────┴────┴─┴────┴──┴────┴────────┴────────┴────────┴──┴────┴────┴───────┘
//	 patched       patched    └──────────── what the checksum covers ────────────────┘
//
// The last offset counts from the base, pe is the producer's epoch, and attributes
// are: bits 0 to 2 the codec, 3 LogAppendTime, 4 transactional, 5 control, 6 that
// the base timestamp is a delete horizon. Records, compressed together, are
//
//	length │ attributes │ timestamp │ offset │ key │ value │ headers
//	varint │ int8 = 0   │ varint    │ varint │ varint length (-1 null) and bytes, ...
//
// with timestamp and offset counted from the base. An .index file is entries of
// eight bytes, one for the first batch after every index.interval.bytes:
//
//	 0             4              8
//	┌─────────────┬──────────────┐  last offset of a batch, from the segment's base;
//	│ offset      │ position     │  where that batch begins in the .log
//	└─────────────┴──────────────┘
//
// A .timeindex file is entries of twelve bytes, one beside each of those if a newer
// timestamp has come since, and one when the segment is rolled or the log closed:
//
//	 0                         8              12
//	┌─────────────────────────┬──────────────┐  no record up to the batch that ends at
//	│ timestamp in ms         │ offset       │  this offset, from the segment's base,
//	└─────────────────────────┴──────────────┘  is newer; one in that batch is as new
//
// Both are written when the log is synced, rolled or closed, and made durable before
// a snapshot is written. A .milestones file is entries of twelve bytes, for the beginning,
// for as many positions as the .index has, and for the end:
//
//	 0             4             8             12
//	┌─────────────┬─────────────┬─────────────┐  CRC-32C of the segment's base and of all
//	│ position    │ sum         │ CRC-32C     │  headers before the position; and of
//	└─────────────┴─────────────┴─────────────┘  these eight bytes
//
// # Recovery
//
// A snapshot says what the log was at an offset when everything below it was durable:
// each segment's size, the sums of its headers and its indexes, the epochs, the producers. One is
// written at each roll and by Checkpoint, when a broker stops in good order. The
// newest is the recovery point. Below it Open compares: the size of a segment, its
// indexes, its first batch, and the batches behind its last index entry, whose epoch
// and offset vouch for all before them. An index that is not as it was, or a file of
// milestones, is made anew from its segment. If anything else differs the snapshots are worth nothing: then,
// and where there is none, as Kafka writes them or an earlier version left the log,
// Open reads everything. What lies above the recovery point is always read.
//
// Truncate and Reset remove the snapshots above the cut, durably, before they cut.
// A compaction removes all of them before it replaces a segment and writes the newest
// anew when it is done: only damage makes a segment differ from what is said of it.
// The epochs are in the snapshot and in the batches behind it; the checkpoint of them
// is compared and replaced, and only tells what a log without records had. A producer
// is remembered after retention has taken its records, until it expires.
//
// # Damage
//
// Of what it reads Open checks every checksum. It cuts off what is not good. If
// nothing valid lies behind, that was a torn tail: an append that a crash left
// unfinished. If something does, or a segment is missing, or the log ends below its
// recovery point, the log is damaged, and
// Recovery.Corrupt says where: what this replica once acknowledged may be gone, so
// its broker must not claim to be what it was. Recovery.Garbled and Missing tell of
// damage that only the broker can judge. Distrust makes the next Open read everything.
//
// A read checks headers, positions, the order of offsets and every checksum: what
// comes from a disk is believed of nobody, so a corrupt record is never served.
//
// The checksum of a batch does not cover its base offset and its leader epoch, and who
// looks at headers alone, in search of an offset, a time or a producer, compares none. So
// there are milestones: who reads headers (scan.go) begins at one, goes on to the next
// and compares, before anything comes of it. What an open log knows of its milestones is
// in memory. Where they differ nothing between the two milestones is served, unless one
// batch is to blame for it, by its own checksum, and the others' offsets are dense.
//
// Open has only files. An entry in one of milestones has a checksum of its own, so where
// one contradicts the headers it is they that have changed, with or without a snapshot.
// Behind the newest milestone a batch is what must come next: it begins where the one
// before it ends, in the same epoch, or in the one that leader-epoch-checkpoint says. For a
// batch that is not, because it leaves offsets out or the checkpoint is damaged, a milestone
// is written before it is, and in a log with gaps synced before it: if there is none
// (trail.go), it was never synced or is not what was written, and is cut off.
//
// What remains is what has no milestones:
//
//   - a segment that Kafka, or an earlier version, wrote: as far as one had changed
//     when it was opened first, it is taken as it was found (but for what its neighbours
//     and its epochs tell);
//   - one whose file of milestones is lost together with all snapshots, likewise. A power
//     loss can take what was never synced of it, and in a log with gaps that is not much: the
//     active segment's, until the segment is synced for the first time;
//   - a checkpoint of the epochs that has changed after a power loss: it takes the
//     newest epoch's records along, if their milestones were not durable yet;
//   - of a log without records, what leader-epoch-checkpoint says of its last epoch, if there is
//     no snapshot.
//
// # Compaction
//
// A Cleaner writes the sealed, committed segments anew, a group that fits into one
// at a time, without the records that a later one with the same key makes obsolete
// (filter.go has the rules); a segment in which nothing changes is left alone. Offsets stay. So do the first batch of each epoch and the
// last one of each producer and segment, if only as a header: epochs and producers
// are functions of the bytes afterwards as before, a follower that copies the log
// gets to its end, and a crash in the middle of a swap does not forget which old
// segments the new one stands for (swap.go). Kafka keeps less: of epochs it believes
// its checkpoint. Replicas compact for themselves, so their bytes may differ; the last
// record of each key does not.
//
// # Turns
//
// Writers hold a one-slot channel for as long as their disk calls take. A second one
// is held by whoever syncs, so that more can be written during a sync, and by what
// must not be synced beside: a cut, or the end. A holder of the first may wait for
// the second, never the other way round. What is written and owes a sync is ahead of
// what is published; see tip. All but appends settle that first, so they find
// nothing written that is not published. A roll syncs, and so pays what is owed. Readers
// never do: they load what is published in atomics (end, segments, sizes, index),
// read, and look whether Log.cuts has moved meanwhile, which says that something
// was cut off and they must read again. So a slow disk holds up nobody who only
// reads, and nothing here keeps virtual time from moving. A compaction reads and
// writes without the slot and takes it for a swap alone, which it gives up if cuts
// has moved since it began.
//
// # Room for more
//
// The transaction index gets a file of that name here. The tail of the log
// may then be kept in memory between write and reading.segment.
//
// # Reading order
//
// batch.go, milestones.go, log.go, append.go with validate.go, group_commit.go, scan.go with read.go and times.go,
// truncate.go, retain.go, snapshot.go and snapshots.go, recover.go with trust.go, walk.go and trail.go;
// compact.go with filter.go, rewrite.go and swap.go; then epochs.go and producers.go, which are pure. Package batchtest builds batches
// for tests.
package partition
