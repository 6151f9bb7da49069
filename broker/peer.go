package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// fetchVersion is the version of Fetch that brokers speak to each other.
const fetchVersion = 18

// A peer is another broker as a fetcher sees it: the replication.LeaderEndpoint
// that speaks Kafka's Fetch over a connection of its own. A follower is a
// consumer that says who it is and may read past the high watermark.
//
// Its answers may come late, over a slow link, but not never: after
// fetchPatience a connection is given up.
type peer struct {
	self    int32
	epoch   func() int64 // this broker's
	client  *wire.Client
	session sessionBook
	newest  wire.Borrowed // the newest answer, whose memory is borrowed
}

// fetchPatience is how long a leader may take to answer beyond the wait that it
// was asked for: Kafka's replica.socket.timeout.ms.
const fetchPatience = 30 * time.Second

// newPeer returns the endpoint of the broker called leader. Its address is looked
// up at each connect: a broker may return under another one.
func newPeer(cfg Config, leader int32, epoch func() int64, image func() *metadata.Image) *peer {
	dial := func(ctx context.Context) (net.Conn, error) {
		b, _ := image().Broker(leader)
		e, ok := b.Endpoint(metadata.InternalListener)
		if !ok {
			return nil, fmt.Errorf("broker %d: %w: no address is known", leader, metadata.ErrBrokerNotAvailable)
		}
		return cfg.Dial(ctx, "tcp", net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
	}
	// A fetcher has one request under way, and reads its answer itself.
	client := wire.NewClient(wire.ClientConfig{Dial: dial, ClientID: event.BrokerNode(cfg.ID), OneAtATime: true})
	return &peer{self: cfg.ID, epoch: epoch, client: client}
}

// Fetch sends one request of the fetch session. The records of its answer stay
// valid until the next call.
func (p *peer) Fetch(ctx context.Context, req replication.FetchRequest) (replication.FetchResponse, error) {
	p.release()
	id, epoch, err := p.session.begin(req.Full)
	if err != nil {
		return replication.FetchResponse{}, err
	}
	got, err := p.client.Borrow(ctx, peerRequest(p.self, p.epoch(), id, epoch, req), req.MaxWait+fetchPatience)
	if err == nil {
		p.newest = got
		var answer replication.FetchResponse
		if answer, err = p.answered(got); err == nil {
			return answer, nil
		}
	}
	p.session.lost()
	return replication.FetchResponse{}, err
}

// release lets the memory of the answer before be used again.
func (p *peer) release() {
	p.newest.GiveBack()
	p.newest = wire.Borrowed{}
}

// answered takes over an answer.
func (p *peer) answered(got wire.Borrowed) (replication.FetchResponse, error) {
	r, ok := got.Response.(*kmsg.FetchResponse)
	if !ok {
		return replication.FetchResponse{}, fmt.Errorf("%w: %T answers a fetch", metadata.ErrUnknownServer, got.Response)
	}
	if err := wire.Err(r.ErrorCode); err != nil {
		p.session.refused(err)
		return replication.FetchResponse{}, err
	}
	p.session.answered(r.SessionID)
	return peerResponse(r, got.Records), nil
}

// Close ends the connection and joins it.
func (p *peer) Close() error { return p.client.Close() }

// A sessionBook is the follower's book of a fetch session (KIP-227): which one
// it is and the number of the next request in it.
type sessionBook struct {
	id    int32 // 0: none
	epoch int32 // of the next request; 0 begins a session
}

// begin returns the id and epoch that the next request must carry. A full
// request begins a new session and replaces the old one.
func (s *sessionBook) begin(full bool) (id, epoch int32, err error) {
	if full {
		s.epoch = 0
		return s.id, 0, nil
	}
	if s.id == 0 || s.epoch == 0 {
		return 0, 0, fmt.Errorf("%w: the leader keeps none for this broker", metadata.ErrFetchSessionIDNotFound)
	}
	return s.id, s.epoch, nil
}

// answered notes that the request was answered within session id; 0 means that
// the leader declined to keep one.
func (s *sessionBook) answered(id int32) {
	if s.id = id; id == 0 {
		s.epoch = 0
		return
	}
	if s.epoch++; s.epoch < 0 { // 2147483647 is followed by 1
		s.epoch = 1
	}
}

// refused notes that the leader would not take the request.
func (s *sessionBook) refused(err error) {
	s.epoch = 0
	if errors.Is(err, metadata.ErrFetchSessionIDNotFound) {
		s.id = 0
	}
}

// lost notes that nobody knows whether the request arrived.
func (s *sessionBook) lost() { s.epoch = 0 }

func peerRequest(self int32, brokerEpoch int64, id, epoch int32, req replication.FetchRequest) *kmsg.FetchRequest {
	out := kmsg.NewPtrFetchRequest()
	out.Version = fetchVersion
	out.ReplicaState.ID, out.ReplicaState.Epoch = self, brokerEpoch
	out.SessionID, out.SessionEpoch = id, epoch
	out.MaxWaitMillis = int32(req.MaxWait.Milliseconds())
	out.MinBytes, out.MaxBytes = int32(req.MinBytes), int32(req.MaxBytes)
	for _, p := range req.Partitions {
		if n := len(out.Topics); n == 0 || out.Topics[n-1].TopicID != p.ID.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.TopicID = p.ID.Topic
			out.Topics = append(out.Topics, t)
		}
		t := &out.Topics[len(out.Topics)-1]
		t.Partitions = append(t.Partitions, peerPartition(p))
	}
	for _, f := range req.Forgotten {
		if n := len(out.ForgottenTopics); n == 0 || out.ForgottenTopics[n-1].TopicID != f.Topic {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.TopicID = f.Topic
			out.ForgottenTopics = append(out.ForgottenTopics, t)
		}
		t := &out.ForgottenTopics[len(out.ForgottenTopics)-1]
		t.Partitions = append(t.Partitions, f.Partition)
	}
	return out
}

func peerPartition(p replication.FetchPartition) kmsg.FetchRequestTopicPartition {
	out := kmsg.NewFetchRequestTopicPartition()
	out.Partition = p.ID.Partition
	out.CurrentLeaderEpoch = p.CurrentLeaderEpoch
	out.FetchOffset = p.FetchOffset
	out.LastFetchedEpoch = p.LastFetchedEpoch
	out.LogStartOffset = p.LogStartOffset
	out.PartitionMaxBytes = int32(p.MaxBytes)
	return out
}

// peerResponse is what an answer says; records are those of its partitions, in its order.
func peerResponse(r *kmsg.FetchResponse, records [][]slab.Span) replication.FetchResponse {
	out := replication.FetchResponse{Partitions: make([]replication.FetchedPartition, 0, len(records))}
	for _, t := range r.Topics {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			got := replication.FetchedPartition{
				ID:             metadata.TopicPartition{Topic: t.TopicID, Partition: p.Partition},
				HighWatermark:  p.HighWatermark,
				LogStartOffset: p.LogStartOffset,
				Records:        records[len(out.Partitions)],
				Err:            wire.Err(p.ErrorCode),
			}
			if d := p.DivergingEpoch; d.EndOffset >= 0 {
				got.Diverging = &partition.EpochEnd{Epoch: d.Epoch, Offset: d.EndOffset}
			}
			out.Partitions = append(out.Partitions, got)
		}
	}
	return out
}
