package peers

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

// nothing is no system, but what remains of each if its work costs nothing: three brokers
// that read a produce and acknowledge it, keep no byte of it and check none. What the client
// and the network take of everything is in its figures, so no server does better than they say.
func nothing() contender {
	return contender{
		name:    "nothing",
		promise: "nowhere: it is read and forgotten. A limit, not a system",
		start:   func(tb testing.TB, partitions int) cluster { return startNothing(tb, partitions) },
	}
}

type forgetful struct {
	brokers    []net.Listener
	partitions int
	ends       []atomic.Int64 // by partition: how many records it was sent
	conns      sync.WaitGroup
}

func startNothing(tb testing.TB, partitions int) *speaker {
	f := &forgetful{partitions: partitions, ends: make([]atomic.Int64, partitions)}
	s := &speaker{topic: topic, stop: func() { f.close(tb) }}
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		f.brokers, s.addrs = append(f.brokers, l), append(s.addrs, l.Addr().String())
	}
	for _, l := range f.brokers {
		f.conns.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				f.conns.Go(func() { f.serve(nc) })
			}
		})
	}
	return s
}

// close waits for the clients to be gone.
func (f *forgetful) close(tb testing.TB) {
	for _, l := range f.brokers {
		require.NoError(tb, l.Close())
	}
	f.conns.Wait()
}

// serve is one goroutine for everything: it reads, and it answers.
func (f *forgetful) serve(nc net.Conn) {
	defer nc.Close()
	r, head := bufio.NewReaderSize(nc, 8<<10), make([]byte, 4)
	var frame, answer []byte
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head))
		if size > cap(frame) {
			frame = make([]byte, size)
		}
		frame = frame[:size]
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		h, body, _, err := wire.ParseHeader(frame)
		if err != nil {
			return
		}
		req := kmsg.RequestForKey(h.Key)
		req.SetVersion(h.Version)
		if err := req.ReadFrom(body); err != nil {
			return
		}
		resp := req.ResponseKind()
		resp.SetVersion(h.Version)
		f.answer(req, resp)
		answer = wire.AppendResponse(answer[:0], h.CorrelationID, resp)
		if _, err := nc.Write(answer); err != nil {
			return
		}
	}
}

func (f *forgetful) answer(req kmsg.Request, to kmsg.Response) {
	switch resp := to.(type) {
	case *kmsg.ApiVersionsResponse:
		for key, most := range map[int16]int16{0: 9, 2: 5, 3: 9, 18: 3, 22: 4} {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: most})
		}
	case *kmsg.MetadataResponse:
		f.describe(resp)
	case *kmsg.InitProducerIDResponse:
		resp.ProducerID = 1
	case *kmsg.ProduceResponse:
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			of := kmsg.NewProduceResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				const countAt = 57 // of a batch of format 2
				records := int64(binary.BigEndian.Uint32(p.Records[countAt:]))
				a := kmsg.NewProduceResponseTopicPartition()
				a.Partition, a.BaseOffset = p.Partition, f.ends[p.Partition].Add(records)-records
				of.Partitions = append(of.Partitions, a)
			}
			resp.Topics = append(resp.Topics, of)
		}
	case *kmsg.ListOffsetsResponse:
		for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
			of := kmsg.NewListOffsetsResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				a := kmsg.NewListOffsetsResponseTopicPartition()
				a.Partition, a.Offset = p.Partition, f.ends[p.Partition].Load()
				of.Partitions = append(of.Partitions, a)
			}
			resp.Topics = append(resp.Topics, of)
		}
	}
}

func (f *forgetful) describe(resp *kmsg.MetadataResponse) {
	for i, l := range f.brokers {
		at := l.Addr().(*net.TCPAddr)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = int32(i), at.IP.String(), int32(at.Port)
		resp.Brokers = append(resp.Brokers, b)
	}
	t := kmsg.NewMetadataResponseTopic()
	t.Topic = kmsg.StringPtr(topic)
	for i := range f.partitions {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader = int32(i), int32(i%len(f.brokers))
		p.Replicas, p.ISR = []int32{p.Leader}, []int32{p.Leader}
		t.Partitions = append(t.Partitions, p)
	}
	resp.Topics = append(resp.Topics, t)
}
