// Package vfs is the disk of a node.
//
// Everything that a node keeps goes through an FS of about eight methods. There
// are three disks, and two wrappers that any disk can be put into:
//
//	Gated(WithFaults(disk, faults), gate)      what a node is given
//	  │        │       │
//	  │        │       ├─ Mem        in memory; can lose power
//	  │        │       ├─ Directory  one of the real machine; can lose power
//	  │        │       └─ OS         the same, as it is
//	  │        └─ slow, failing or full on request
//	  └─ waits while the node is paused, fails once its incarnation has ended
//
// # Two crashes
//
// A file system promises less than it seems to, and the difference between the
// two ways to go down is the whole point of Mem and Directory.
//
//	                       process crash      power loss
//	bytes written          kept               lost
//	bytes synced           kept               kept
//	names made, changed    kept               lost
//	names and SyncDir      kept               kept
//
// A process crash needs no method: a disk simply outlives the process that used
// it, and its gate stops what was still in flight. PowerLoss makes the other
// column true. What is lost need not be lost neatly: of the bytes that were not
// synced, a prefix may have reached the disk, or the length without the content,
// or some sectors and not others. Mem chooses among these from its seed; a Mem
// whose seed is 0 loses exactly what was not synced. Names are kinder, as on
// every file system with a journal: of the changes to one directory since its
// last SyncDir, the first few survive and the rest do not, and a rename is never
// half done. (Between two directories it is two changes.)
//
// Directory plays the second crash on a machine that runs on: it cuts files back to
// their synced length and takes names back that were not synced. It always takes the
// worst case. What is real stays real: a Sync of it is one of the machine.
//
// So a file is durable once its bytes, its name and the names of the directories
// above it are: Sync, SyncDir, and SyncDir of the parent. WriteFileSynced does
// that for small files and replaces the old content atomically.
//
// A disk's Session names the time in which nothing written can have been lost.
// It tells a node that starts whether it has the disk that it left.
//
// # Memory that is shared
//
// A file of a Mem can keep a span of a slab instead of a copy of it: WriteSpanAt has it
// do so, through the wrappers too, and on other disks it is WriteAt. Several disks then
// have the same memory. None of them writes to it: what is written over, zeroed or
// restored by a power loss becomes the file's own first.
//
// # Not here
//
// There are no permissions, links or times. Nothing sleeps but WithFaults, and
// nobody holds a lock while it does, so all of this works in virtual time.
//
// Read vfs.go for the interfaces, mem.go and power.go for the disk that can
// crash, content.go for how it has the bytes of a file, directory.go and directory_power.go for the one that outlasts the process, faults.go for what can be wrong with one.
package vfs
