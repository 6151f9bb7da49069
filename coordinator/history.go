package coordinator

import (
	"slices"
	"sync"

	"github.com/brokersim/brokersim/metadata"
)

// How much of the metadata log a node keeps for brokers.
const (
	historyEntries = 4096
	historyBytes   = 32 << 20
)

// history is what one node can tell brokers of the metadata log: the newest
// image, and the newest few thousand entries that led to it. Safe for concurrent use.
type history struct {
	mu      sync.Mutex
	image   *metadata.Image
	entries []entry // by offset, gaps are legal
	bytes   int
	first   int64         // nothing at or above it is missing from entries
	newest  int64         // offset of the newest change; 0 before the first
	term    int32         // in which that was committed
	changed chan struct{} // closed and replaced when there is news

	snapMu sync.Mutex
	snaps  []imageSnapshot // the newest few that brokers were told of
}

// An entry is one committed change, ready for the wire.
type entry struct {
	offset int64
	batch  []byte
}

// An imageSnapshot is a whole image, encoded. It holds every change below end.
type imageSnapshot struct {
	end   int64
	term  int32
	bytes []byte
}

func newHistory(im *metadata.Image) *history {
	return &history{image: im, changed: make(chan struct{})}
}

// publish makes a change known to readers.
func (h *history) publish(im *metadata.Image, term int32, offset int64, batch []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.image = im
	h.entries = append(h.entries, entry{offset, batch})
	h.bytes += len(batch)
	h.newest, h.term = offset, term
	h.trimLocked()
	h.wakeLocked()
}

func (h *history) trimLocked() {
	n := max(len(h.entries)-historyEntries, 0)
	for _, e := range h.entries[:n] {
		h.bytes -= len(e.batch)
	}
	for n < len(h.entries)-1 && h.bytes > historyBytes {
		h.bytes -= len(h.entries[n].batch)
		n++
	}
	if n == 0 {
		return
	}
	h.first = h.entries[n-1].offset + 1
	clear(h.entries[:n])
	h.entries = h.entries[n:] // append moves it to a new array now and then
}

// reset starts over from an image that came as a whole.
func (h *history) reset(im *metadata.Image, term int32) {
	h.mu.Lock()
	h.image, h.entries, h.bytes = im, nil, 0
	h.first, h.newest, h.term = im.Offset()+1, im.Offset(), term
	h.wakeLocked()
	h.mu.Unlock()
	h.snapMu.Lock()
	defer h.snapMu.Unlock()
	h.snaps = nil
}

// wake lets waiting readers look again.
func (h *history) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakeLocked()
}

func (h *history) wakeLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// latest is the newest image and the offset of its newest change.
func (h *history) latest() (im *metadata.Image, newest int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.image, h.newest
}

// watch is the newest image, with what is closed when there is news.
func (h *history) watch() (im *metadata.Image, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.image, h.changed
}

// A reading is what there is to tell from one offset on.
type reading struct {
	behind  bool   // the entries do not go back that far: a snapshot is needed
	batches []byte // whole batches
	end     int64  // the newest change's offset + 1
	start   int64  // first offset that is still there
	news    <-chan struct{}
}

// read returns the changes at and above from, about maxBytes of them but one at least.
func (h *history) read(from int64, maxBytes int) reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := reading{end: h.newest + 1, start: h.first, news: h.changed}
	if from < h.first {
		r.behind = true
		return r
	}
	at, _ := slices.BinarySearchFunc(h.entries, from, func(e entry, from int64) int { return int(e.offset - from) })
	for _, e := range h.entries[at:] {
		if len(r.batches) > 0 && len(r.batches)+len(e.batch) > maxBytes {
			break
		}
		r.batches = append(r.batches, e.batch...)
	}
	return r
}

// snapshot returns an image from which the entries lead on without a gap. Brokers
// that come at about the same time share one.
func (h *history) snapshot() imageSnapshot {
	h.mu.Lock()
	im, term, first := h.image, h.term, h.first
	h.mu.Unlock()
	h.snapMu.Lock()
	defer h.snapMu.Unlock()
	if n := len(h.snaps); n > 0 && h.snaps[n-1].end >= first {
		return h.snaps[n-1]
	}
	s := imageSnapshot{end: im.Offset() + 1, term: term, bytes: im.AppendTo(nil)}
	h.snaps = append(h.snaps, s)
	h.snaps = h.snaps[max(len(h.snaps)-2, 0):]
	return s
}

// snapshotAt returns a snapshot that a broker was told of, unless it is too old.
func (h *history) snapshotAt(end int64, term int32) (imageSnapshot, bool) {
	h.snapMu.Lock()
	defer h.snapMu.Unlock()
	for _, s := range h.snaps {
		if s.end == end && s.term == term {
			return s, true
		}
	}
	return imageSnapshot{}, false
}
