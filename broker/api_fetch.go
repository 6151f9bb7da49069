package broker

// Fetch (key 1), versions 4 to 18, for consumers and for followers: a follower is
// a consumer that names its broker id and may read past the high watermark.
//
// A fetch is answered when MinBytes are there, when a partition has an error or
// diverges, or after MaxWait. MaxBytes and each partition's limit hold (KIP-74),
// but the first batch of an answer always comes whole, however large. A session
// (KIP-227) is read in the order of its queue: what gave records goes to the end
// of it, what did not fit comes first the next time, so that nothing starves.
//
// Left out: reading from followers (KIP-392), so PreferredReadReplica is always
// -1 and only leaders answer; transactions, so read_committed reads the same as
// read_uncommitted and nothing is ever aborted; quotas; the high watermark that
// KIP-1166 lets a fetcher send, which is ignored.
//
// Versions: 7 sessions; 9 the leader epoch that the fetcher knows; 10 zstd, which
// earlier ones are refused with UNSUPPORTED_COMPRESSION_TYPE (KIP-110); 12 flexible,
// the epoch of the last record fetched, and diverging epochs in the answer; 13
// topics by id; 15 the follower's broker epoch (KIP-903); 16 leaders' addresses
// beside NOT_LEADER_OR_FOLLOWER (KIP-951).

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// Bounds of what a fetch may ask for.
const (
	maxFetchBytes = 55 << 20 // Kafka's fetch.max.bytes
	maxFetchWait  = 5 * time.Minute
)

// errFetchSessionTopicID: a request of a session that goes by names uses ids, or the reverse.
var errFetchSessionTopicID = errors.New("fetch session topic id error")

// fetch answers a fetch; it returns when there is an answer.
func (b *Broker) fetch(ctx context.Context, r *wire.Request, req *kmsg.FetchRequest) wire.Reply {
	follower, epoch := req.ReplicaID, int64(-1)
	if req.Version >= 15 {
		follower, epoch = req.ReplicaState.ID, req.ReplicaState.Epoch
	}
	follower = max(follower, -1)
	if follower >= 0 && r.Conn.Listener() != metadata.InternalListener {
		return refusedFetch(req, metadata.ErrClusterAuthorizationFailed)
	}
	session, err := b.openSession(req, follower, epoch)
	if err != nil {
		return refusedFetch(req, err)
	}
	f := &fetch{
		b: b, session: session, followerEpoch: epoch,
		noZstd:   req.Version < 10,
		full:     req.SessionEpoch == newSessionEpoch || req.SessionEpoch == noSessionEpoch,
		maxBytes: int(min(max(0, req.MaxBytes), maxFetchBytes)),
	}
	f.minBytes = min(int(req.MinBytes), f.maxBytes)
	defer f.finish() // also if a defect of ours ends the request
	f.run(ctx, min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait))
	resp, records := f.response(r, req)
	return wire.Reply{Response: resp, Records: records, Release: func() { b.apis.buffers.put(f.buffer) }}
}

// refusedFetch answers a fetch as a whole. Before version 7 there was no place
// for that, and each partition says it.
func refusedFetch(req *kmsg.FetchRequest, err error) wire.Reply {
	if req.Version < 7 {
		return wire.Reply{Response: wire.ErrorAnswer(req, fetchCode(err))}
	}
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode, resp.Topics = fetchCode(err), []kmsg.FetchResponseTopic{}
	return wire.Reply{Response: resp}
}

// openSession returns the session that the request belongs to, in use and up to
// date with what the request says. A follower's session is of one broker epoch: what it is about would
// not be looked at under another one before there is news of it.
func (b *Broker) openSession(req *kmsg.FetchRequest, follower int32, epoch int64) (*fetchSession, error) {
	c, byID := &b.apis.sessions, req.Version >= 13
	switch req.SessionEpoch {
	case newSessionEpoch, noSessionEpoch:
		if req.SessionID != 0 {
			c.remove(req.SessionID, follower)
		}
		s := newFetchSession(byID, follower)
		s.registered, s.number = epoch, c.begun.Add(1)
		s.update(req)
		if req.SessionEpoch == newSessionEpoch && b.mayHaveSession(follower) {
			s.watching = c.open(s, time.Now())
		}
		return s, nil
	}
	s, err := c.begin(req.SessionID, req.SessionEpoch, byID, follower)
	if err != nil {
		return nil, err
	}
	if s.registered != epoch {
		c.end(s, time.Now())
		c.remove(s.id, follower)
		return nil, metadata.ErrFetchSessionIDNotFound
	}
	s.update(req)
	return s, nil
}

// mayHaveSession refuses followers that the cluster does not know, so that the
// number of their sessions has a bound.
func (b *Broker) mayHaveSession(follower int32) bool {
	if follower < 0 {
		return true
	}
	_, known := b.image().Broker(follower)
	return known
}

// update takes what a request says of the session's partitions, and queues those
// that it names.
func (s *fetchSession) update(req *kmsg.FetchRequest) {
	for _, t := range req.ForgottenTopics {
		for _, n := range t.Partitions {
			s.forget(s.key(t.Topic, t.TopicID, n))
		}
	}
	for _, t := range req.Topics {
		for i := range t.Partitions {
			w := &t.Partitions[i]
			p := s.want(s.key(t.Topic, t.TopicID, w.Partition))
			p.offset, p.logStart = w.FetchOffset, w.LogStartOffset
			p.maxBytes = int(max(0, w.PartitionMaxBytes))
			p.currentEpoch, p.lastEpoch = w.CurrentLeaderEpoch, w.LastFetchedEpoch
			p.named = true
			s.push(p)
		}
	}
}

// topic is the key without its partition.
func (k fetchKey) topic() fetchKey { return fetchKey{id: k.id, name: k.name} }

func (s *fetchSession) key(name string, id [16]byte, partition int32) fetchKey {
	if s.byID {
		return fetchKey{id: id, partition: partition}
	}
	return fetchKey{name: name, partition: partition}
}

// response is the answer from what was looked at, and the records of its partitions, in its
// order; nil if nothing was read.
func (f *fetch) response(r *wire.Request, req *kmsg.FetchRequest) (kmsg.Response, [][]slab.Span) {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.SessionID = f.session.id
	resp.Topics = []kmsg.FetchResponseTopic{}
	hints := f.b.leaderHints(r)
	for _, p := range f.told() {
		if n := len(resp.Topics); n == 0 || p.key.topic() != (fetchKey{name: resp.Topics[n-1].Topic, id: resp.Topics[n-1].TopicID}) {
			resp.Topics = append(resp.Topics, kmsg.FetchResponseTopic{Topic: p.key.name, TopicID: p.key.id})
		}
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, p.answer(&hints, req.Version))
		if f.buffer != nil {
			f.buffer.records = append(f.buffer.records, p.look.records)
		}
	}
	for _, n := range hints.nodes {
		node := kmsg.NewFetchResponseBroker()
		node.NodeID, node.Host, node.Port, node.Rack = n.id, n.endpoint.Host, n.endpoint.Port, n.rack
		resp.Brokers = append(resp.Brokers, node)
	}
	if f.buffer == nil {
		return resp, nil
	}
	return resp, f.buffer.records
}

// told are the partitions that the answer names: those of a topic one after the other, in the
// order in which they were looked at.
func (f *fetch) told() []*fetchPartition {
	told := make([]*fetchPartition, 0, len(f.looked))
	for _, p := range f.looked {
		if f.full || p.news() {
			told = append(told, p)
		}
	}
	mixed := map[fetchKey]int{} // where each topic comes first
	sorted := true
	for i, p := range told {
		key := p.key.topic()
		if _, ok := mixed[key]; !ok {
			mixed[key] = i
		} else if told[i-1].key.topic() != key {
			sorted = false
		}
	}
	if !sorted {
		slices.SortStableFunc(told, func(a, b *fetchPartition) int { return mixed[a.key.topic()] - mixed[b.key.topic()] })
	}
	return told
}

// news reports whether the fetcher has to hear of the partition.
func (p *fetchPartition) news() bool {
	l := &p.look
	return l.err != nil || l.diverging != nil || len(l.records) > 0 ||
		l.highWatermark != p.toldHW || l.logStart != p.toldLogStart
}

// Nothing, but not null: some clients take null for a reason to fail.
var (
	noRecords = []byte{}
	noAborted = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
)

// answer is the partition's place in the response; it is remembered as told.
func (p *fetchPartition) answer(hints *leaderHints, version int16) kmsg.FetchResponseTopicPartition {
	l := &p.look
	a := kmsg.NewFetchResponseTopicPartition()
	a.Partition = p.key.partition
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = l.highWatermark, l.highWatermark, l.logStart
	a.AbortedTransactions, a.RecordBatches = noAborted, noRecords
	p.toldHW, p.toldLogStart = l.highWatermark, l.logStart
	switch {
	case l.err != nil:
		a.ErrorCode = fetchCode(l.err)
		a.HighWatermark, a.LastStableOffset = -1, -1
		p.toldHW, p.toldLogStart = -1, -1
		if version >= 16 && hints.wanted(a.ErrorCode) {
			a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch = hints.leader(l.tp)
		}
	case l.diverging != nil:
		a.DivergingEpoch.Epoch, a.DivergingEpoch.EndOffset = l.diverging.Epoch, l.diverging.Offset
		p.toldHW, p.toldLogStart = -1, -1 // whoever has to truncate heeds nothing else
	}
	return a
}

// finish queues what the next request must look at even without news, and gives
// the session back.
func (f *fetch) finish() {
	s := f.session
	for i := len(f.looked) - 1; i >= 0; i-- {
		if p := f.looked[i]; p.look.starved {
			s.pushFront(p)
		}
	}
	for _, p := range f.looked {
		if l := &p.look; l.err != nil || l.diverging != nil || len(l.records) > 0 {
			s.push(p)
		}
		p.look = look{}
	}
	if s.id == 0 {
		s.close()
		return
	}
	f.b.apis.sessions.end(s, time.Now())
}

// fetchCode is Kafka's code for an error of a fetch.
func fetchCode(err error) int16 {
	if errors.Is(err, errFetchSessionTopicID) {
		return kerr.FetchSessionTopicIDError.Code
	}
	return wire.Code(err)
}
