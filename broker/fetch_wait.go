package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

// A fetch is one request on its way through a session: it looks at what is
// queued, and if that is not enough it waits for news and looks again. No
// goroutine but the connection's own is involved.
type fetch struct {
	b       *Broker
	session *fetchSession

	noZstd        bool // the fetcher knows no zstd
	full          bool // the answer has every partition, not only those with news
	minBytes      int  // to wait for
	maxBytes      int  // of records in the answer, but for a first batch that is larger
	followerEpoch int64

	looks  int
	looked []*fetchPartition // what the answer may have, in the order of the queue
	buffer *recordBuffer     // of the records; nil while there are none
	bytes  int               // of records
	ready  bool              // the answer must not wait: an error, a divergence, the limit
}

// A look is what one request saw of a partition.
type look struct {
	taken         bool // it is in fetch.looked
	tp            metadata.TopicPartition
	records       []slab.Span
	highWatermark int64 // -1: not known
	logStart      int64 // -1: not known
	diverging     *partition.EpochEnd
	err           error
	starved       bool // records are there, but none fitted
}

// run looks and waits until there is an answer, maxWait has passed or ctx ends.
func (f *fetch) run(ctx context.Context, maxWait time.Duration) {
	f.look()
	if f.refusesAll() {
		f.rest(ctx)
	}
	if f.done() || maxWait <= 0 {
		return
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	if !f.session.watching { // no session: listen from now on, and look what was missed
		f.session.watching = true
		f.lookAtAll()
	}
	for !f.done() {
		f.release()
		select {
		case <-f.session.wake:
			if f.bytes > 0 && !gather(ctx, timer) {
				return
			}
			f.lookAgain()
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// refusing is how long a client that gets nothing but refusals waits for them.
// Some ask again at once, until they know the new leader: without a network to
// slow them down they would burn a processor, and in virtual time, which stands
// still while somebody is busy, they would never get to know it.
const refusing = time.Millisecond

// refusesAll reports whether a client is told of an error and given no record.
func (f *fetch) refusesAll() bool { return f.ready && f.bytes == 0 && f.session.follower < 0 }

func (f *fetch) rest(ctx context.Context) {
	pause := time.NewTimer(refusing)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}

func (f *fetch) done() bool { return f.ready || f.bytes >= f.minBytes }

// gathering is how long a fetch that waits for more bytes leaves them to gather
// before it reads them all again.
const gathering = 5 * time.Millisecond

// gather waits that long; it returns false, with the timer spent, if the time of
// the fetch is over before.
func gather(ctx context.Context, deadline *time.Timer) bool {
	pause := time.NewTimer(gathering)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-deadline.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// release gives the buffer back while nothing is in it.
func (f *fetch) release() {
	if f.bytes == 0 {
		f.b.apis.buffers.put(f.buffer)
		f.buffer = nil
	}
}

// lookAgain looks at what has news and, so that the records of all lie in one
// buffer, anew at what gave records before.
func (f *fetch) lookAgain() {
	if f.bytes > 0 {
		f.buffer.empty()
		f.bytes = 0
		for i := len(f.looked) - 1; i >= 0; i-- {
			if p := f.looked[i]; len(p.look.records) > 0 {
				p.look.records = nil
				f.session.pushFront(p)
			}
		}
	}
	f.look()
}

// lookAtAll looks at every partition of the session, in the order of before.
func (f *fetch) lookAtAll() {
	for _, p := range f.looked {
		p.look.records = nil
		f.session.push(p)
	}
	if f.buffer != nil {
		f.buffer.empty()
		f.bytes = 0
	}
	f.look()
}

// look reads what is queued until the limit is reached. A full answer goes on
// after that, without records, because it must name every partition.
func (f *fetch) look() {
	for n := f.session.waiting(); n > 0; n-- {
		if !f.full && f.bytes > 0 && f.bytes >= f.maxBytes {
			break
		}
		p := f.session.pop()
		if p == nil {
			break
		}
		if len(p.look.records) == 0 { // else it has been read for this answer
			f.read(p)
		}
	}
	f.looks++
}

// read looks at one partition.
func (f *fetch) read(p *fetchPartition) {
	again := p.look.taken
	if !again {
		f.looked = append(f.looked, p)
	}
	p.look = look{taken: true, highWatermark: -1, logStart: -1}
	r, err := f.find(p)
	if f.session.watching {
		p.watch(r) // before the read, so that nothing is missed after it
	}
	if err != nil {
		p.look.err, f.ready = err, true
		return
	}
	named := p.named
	p.named = false
	// What is as it was told before need not be read for again, unless that was an error.
	if (f.looks > 0 || !named && p.toldHW >= 0) && f.nothingNew(p, r) {
		return
	}
	if f.buffer == nil {
		f.buffer = f.b.apis.buffers.get()
	}
	left := max(0, f.maxBytes-f.bytes)
	res := r.Read(f.buffer.bytes, replication.ReadRequest{
		Offset: p.offset, MaxBytes: min(p.maxBytes, left), AtLeastOne: f.bytes == 0,
		CurrentLeaderEpoch: p.currentEpoch, LastFetchedEpoch: p.lastEpoch,
		Follower: f.session.follower, FollowerEpoch: f.followerEpoch, FollowerLogStart: p.logStart, Again: again,
		FollowerSession: f.session.number, LendTo: f.buffer.spans,
	}, time.Now())
	f.note(p, res, left)
}

// note takes what was read.
func (f *fetch) note(p *fetchPartition, res replication.ReadResult, left int) {
	l := &p.look
	l.highWatermark, l.logStart = res.HighWatermark, res.LogStartOffset
	l.diverging, l.err = res.Diverging, res.Err
	if l.err != nil || l.diverging != nil {
		f.ready = true
		return
	}
	l.records = f.buffer.add(res)
	if f.noZstd && !f.beforeZstd(l) {
		return
	}
	f.bytes += slab.Size(l.records)
	f.ready = f.ready || f.startIsNews(p)
	end := f.readable(res.HighWatermark, res.LogEndOffset)
	l.starved = len(l.records) == 0 && p.offset < end
	if left < p.maxBytes && !f.done() { // the answer may be as full as it gets
		f.ready = f.ready || following(l.records, p.offset) < end
	}
}

// beforeZstd leaves out what is compressed with zstd, and all behind it. If nothing is
// left, that is an error, and it returns false.
func (f *fetch) beforeZstd(l *look) bool {
	for i, span := range l.records {
		readable := 0
		for batch := range partition.Batches(span.Bytes()) {
			if batch.Attributes()&codecMask == zstdCodec {
				f.ready = true
				break
			}
			readable += len(batch)
		}
		switch {
		case readable == span.Len():
			continue
		case i == 0 && readable == 0:
			l.records, l.err = nil, fmt.Errorf("%w: zstd needs version 10 of Fetch", metadata.ErrUnsupportedCompressionType)
			return false
		case readable == 0:
			l.records = l.records[:i]
		default:
			l.records[i] = span.Cut(0, readable)
			l.records = l.records[:i+1]
		}
		break
	}
	return true
}

// following is the offset after whole batches; offset if there are none.
func following(records []slab.Span, offset int64) int64 {
	if len(records) == 0 {
		return offset
	}
	for batch := range partition.Batches(records[len(records)-1].Bytes()) {
		offset = batch.NextOffset()
	}
	return offset
}

// readable is the end of what this fetcher may read.
func (f *fetch) readable(highWatermark, logEnd int64) int64 {
	if f.session.follower >= 0 {
		return logEnd
	}
	return highWatermark
}

// nothingNew tells without a read whether the news is no more than a moved high
// watermark or log start. A follower's read is also a message to the leader, and
// one request must not say twice that the follower is alive.
func (f *fetch) nothingNew(p *fetchPartition, r *replication.Replica) bool {
	epoch, leading := r.Leading()
	if !leading || p.currentEpoch >= 0 && p.currentEpoch != epoch {
		return false
	}
	p.look.highWatermark, p.look.logStart = r.HighWatermark(), r.Log().LogStartOffset()
	f.ready = f.ready || f.startIsNews(p)
	return p.offset >= f.readable(p.look.highWatermark, r.Log().LogEndOffset())
}

// startIsNews reports whether a follower must hear at once that the log starts later
// than its own, and has not been told: a DeleteRecords may be waiting for it.
func (f *fetch) startIsNews(p *fetchPartition) bool {
	return f.session.follower >= 0 && p.look.logStart > max(p.logStart, 0) && p.look.logStart != p.toldLogStart
}

// find returns the replica that is fetched from.
func (f *fetch) find(p *fetchPartition) (*replication.Replica, error) {
	im := f.b.image()
	r, tp, err := f.b.hosted(im, topicRef{p.key.id, p.key.name, f.session.byID}, p.key.partition)
	p.look.tp = tp
	if err == nil && p.name == "" {
		p.name = r.Topic()
	}
	if errors.Is(err, metadata.ErrUnknownTopicID) && p.name != "" && im.TopicByName(p.name) != nil {
		err = fmt.Errorf("%w: %s is not the id of %s any more", metadata.ErrInconsistentTopicID, p.key.id, p.name)
	}
	return r, err
}
