package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// Log is one replica's log: the records of a partition, as far as this replica has
// them. It starts no goroutine and looks at no clock. All its methods are safe for
// concurrent use: writers take turns, readers never wait for one.
type Log struct {
	fs   vfs.FS
	dir  string
	cfg  atomic.Pointer[Config]
	gaps atomic.Bool // offsets are missing between batches; see gapFile

	ownGaps bool // as Open found it

	// writer is the slot that whoever changes the log holds. It is no mutex because
	// it spans disk calls, which may take long or wait while a node is paused.
	writer chan struct{}

	// Published for readers: what lies below end has been written and stays as it
	// is until cuts changes. A reader takes cuts first, and what it has read counts
	// only if cuts is still the same afterwards.
	start, end atomic.Int64
	segments   atomic.Pointer[[]*segment]
	epochs     publishedEpochs
	cuts       atomic.Uint64

	recoveryPoint atomic.Int64 // offset of the newest snapshot; 0: none

	// What is written is ahead of what is published while a sync is owed. syncing is
	// the slot of whoever syncs, or must not be synced beside.
	tip      tip
	syncing  chan struct{}
	newNames atomic.Bool // files were made or removed since the last sync of the directory

	dead atomic.Pointer[error] // why nothing more is written: the disk failed once, or closed

	// Of the holder of the writer's slot.
	producers  producers
	snapshots  []int64 // there are, by offset; the newest is the last
	distrusted bool    // no more are written
	closed     bool

	cleaning   cleaning  // the turn of a compaction
	validators sync.Pool // of *validator
}

// ErrClosed is returned by a log that has been closed.
var ErrClosed = errors.New("the log is closed")

// Open opens the log in dir and recovers it: what a crash has left of its last
// append is cut off, and what no snapshot proves to be durable is read and checked.
// An index that a full disk has no room
// for is kept in memory. An absent log is made, beginning at offset 0.
func Open(disk vfs.FS, dir string, cfg Config) (*Log, Recovery, error) {
	l := &Log{fs: disk, dir: dir, writer: make(chan struct{}, 1), syncing: make(chan struct{}, 1)}
	l.cleaning.slot = make(chan struct{}, 1)
	l.newNames.Store(true)
	l.validators.New = func() any { return new(validator) }
	l.segments.Store(new([]*segment))
	l.SetConfig(cfg)
	found, err := l.open()
	if err != nil {
		l.closeSegments()
		return nil, Recovery{}, err
	}
	l.tip.begin(l.end.Load(), l.active())
	return l, found, nil
}

func (l *Log) open() (Recovery, error) {
	if err := l.makeDirectory(); err != nil {
		return Recovery{}, l.storage("make the directory", err)
	}
	if err := l.checkTopicID(); err != nil {
		return Recovery{}, err
	}
	if err := l.readGaps(); err != nil {
		return Recovery{}, err
	}
	return l.recover()
}

// makeDirectory makes the log's directory, if it is not there: a full disk has no
// room for that.
func (l *Log) makeDirectory() error {
	if _, err := l.fs.List(l.dir); errors.Is(err, fs.ErrNotExist) {
		if err := l.fs.MkdirAll(l.dir); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(path.Dir(l.dir))
}

// SetConfig changes what the next appends go by.
func (l *Log) SetConfig(cfg Config) {
	cfg = cfg.withDefaults()
	l.cfg.Store(&cfg)
}

// LogStartOffset is the first offset that may be read.
func (l *Log) LogStartOffset() int64 { return l.start.Load() }

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return l.end.Load() }

// Size is the number of bytes of all batches in the log.
func (l *Log) Size() int64 {
	var n int64
	for _, s := range *l.segments.Load() {
		n += s.size.Load()
	}
	return n
}

// StartEpoch says that this replica leads from the log's end on, in epoch: the
// entry is durable when it returns. It fails with ErrFencedLeaderEpoch if the log
// holds records of a newer epoch.
func (l *Log) StartEpoch(epoch int32) error {
	defer l.hold()()
	if err := l.ready(); err != nil {
		return err
	}
	if latest := l.LatestEpoch(); epoch < latest {
		return l.refuse(metadata.ErrFencedLeaderEpoch, "lead in epoch %d after %d", epoch, latest)
	}
	return l.setEpochs(l.epochs.load().assign(epoch, l.end.Load()))
}

// ExpireProducers forgets idempotent producers that have been silent for longer
// than the config allows. Appends as leader do that by themselves; the owner of a
// log that only follows, or is idle, calls it now and then.
func (l *Log) ExpireProducers(now time.Time) {
	defer l.hold()()
	l.producers.sweep(now, l.cfg.Load().ProducerIDExpiration)
}

// Close lets go of the files. It syncs nothing; what was written stays written
// unless the machine loses power. A compaction under way gives up first. Everything
// fails with ErrClosed afterwards, and so do those who wait for a sync.
func (l *Log) Close() error {
	l.cleaning.end()
	defer l.hold()()
	defer l.still()()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.usable() == nil {
		l.active().times.mark()
		_ = l.active().flushIndexes() // recovery makes it anew if that fails
	}
	why := fmt.Errorf("%s: %w: %w", l.dir, metadata.ErrStorage, ErrClosed)
	l.dead.Store(&why)
	l.closeSegments()
	return nil
}

func (l *Log) closeSegments() {
	for _, s := range *l.segments.Load() {
		s.close()
	}
}

// hold waits for the writer's slot and takes it until release is called.
func (l *Log) hold() (release func()) {
	l.writer <- struct{}{}
	return l.release
}

func (l *Log) release() { <-l.writer }

// usable says why nothing may be written any more, if so.
func (l *Log) usable() error {
	if why := l.dead.Load(); why != nil {
		return *why
	}
	return nil
}

// ready is usable for whoever does something else than append: all that is written
// is shown when it returns, and stays so while the writer's slot is held.
func (l *Log) ready() error {
	if err := l.usable(); err != nil {
		return err
	}
	return l.Settle()
}

// fail ends the log's life as something that can be written to: the disk may hold
// more or less than we know of. Those who wait for a sync hear of it when it is
// their turn.
func (l *Log) fail(doing string, err error) error {
	err = l.storage(doing, err)
	l.dead.Store(&err)
	return err
}

// active is the segment that is appended to.
func (l *Log) active() *segment {
	list := *l.segments.Load()
	return list[len(list)-1]
}

// roll begins a new segment. The old one is synced first, so that a crash can only
// ever tear the last one. The writer's slot is held.
func (l *Log) roll(base int64) error {
	if err := l.seal(base); err != nil {
		return err
	}
	s, err := createSegment(l.fs, l.dir, base)
	if err != nil {
		return l.fail("roll a segment", err)
	}
	l.newNames.Store(true)
	s.milestones.ahead.Store(l.gaps.Load())
	list := *l.segments.Load()
	grown := append(list[:len(list):len(list)], s)
	l.segments.Store(&grown)
	l.tip.move(l.end.Load(), s.size.end(), s)
	return nil
}

// readFile is vfs.ReadFile for a file that may be missing.
func readFile(disk vfs.FS, name string) ([]byte, error) {
	b, err := vfs.ReadFile(disk, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
