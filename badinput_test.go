package brokersim_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/partition/batchtest"
	"github.com/brokersim/brokersim/wire"
)

// Everything that a client can get wrong is thrown at a cluster at work. Each
// gets its answer, and the cluster is none the worse for it: what was acked is
// there, no handler panicked, nobody was fenced, no goroutine is left.
func TestBadInputHurtsNobody(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) { throwEverything(t) })
}

func TestBadInputOverSockets(t *testing.T) { throwEverything(t) }

func throwEverything(t *testing.T, opts ...brokersim.Option) {
	complaints := &complaints{}
	c := brokertest.Start(t, append(opts, brokersim.Logger(slog.New(complaints)),
		brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"), brokersim.Topic("bin", 1, 3, "max.message.bytes=2000"))...)
	before := c.Snapshot()
	l := startLoad(t, c, "orders")
	for _, b := range c.Brokers() {
		throwFrames(t, c, b.Addr())
		throwSpoiled(t, c, b.Addr())
		throwRequests(t, c, b.Addr())
	}
	l.stop()
	require.Empty(t, l.failed)
	l.kept(t)
	after := c.Snapshot()
	for i, b := range after.Brokers {
		require.Equal(t, before.Brokers[i].Epoch, b.Epoch, "broker %d was fenced", b.ID)
		require.Equal(t, brokersim.Running, b.Process)
	}
	require.Equal(t, before.Partitions[1].LeaderEpoch, after.Partitions[1].LeaderEpoch)
	require.Empty(t, complaints.about("panicked"))
	require.Zero(t, c.Partition("bin", 0).HighWatermark, "nothing of it got into a log")
}

// throwFrames sends what is no request. The connection ends; if not by the broker
// then because the client has hung up in the middle of it.
func throwFrames(t *testing.T, c *brokertest.C, addr string) {
	header := func(key, version int16, body ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		return append(append(b, 0, 0, 0, 9, 0xff, 0xff), body...)
	}
	frame := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	for name, bad := range map[string]struct {
		bytes []byte
		leave bool
	}{
		"unknown key":          {bytes: frame(header(999, 0))},
		"key of other nodes":   {bytes: frame(header(kmsg.AlterPartition.Int16(), 2))},
		"unknown version":      {bytes: frame(header(kmsg.Metadata.Int16(), 99))},
		"version not accepted": {bytes: frame(header(kmsg.Produce.Int16(), 2))},
		"oversized":            {bytes: binary.BigEndian.AppendUint32(nil, 100<<20+1)},
		"negative length":      {bytes: []byte{0xff, 0xff, 0xff, 0xff}},
		"empty":                {bytes: frame(nil)},
		"no body":              {bytes: frame(header(kmsg.Metadata.Int16(), 12))},
		"hostile count":        {bytes: frame(header(kmsg.Metadata.Int16(), 1, 0x7f, 0xff, 0xff, 0xff))},
		"HTTP":                 {bytes: []byte("GET / HTTP/1.1\r\nHost: kafka\r\n\r\n")},
		"TLS":                  {bytes: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on")},
		"cut off":              {bytes: frame(header(kmsg.Metadata.Int16(), 1, 0, 0, 0, 0))[:9], leave: true},
		"length cut off":       {bytes: []byte{0, 0}, leave: true},
		"nothing":              {leave: true},
	} {
		conn, err := c.Dial(t.Context(), "tcp", addr)
		require.NoError(t, err)
		_, err = conn.Write(bad.bytes)
		require.NoError(t, err, name)
		if !bad.leave {
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			n, err := io.Copy(io.Discard, conn)
			require.Zero(t, n, name)
			if err != nil { // data that was never read makes a socket end with a reset
				require.NotErrorIs(t, err, context.DeadlineExceeded, name)
				require.False(t, err.(net.Error).Timeout(), "%s: the connection stays open", name)
			}
		}
		require.NoError(t, conn.Close())
	}
	// ApiVersions alone is answered, in version 0, and the connection stays.
	conn, err := c.Dial(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	for range 2 {
		_, err = conn.Write(frame(header(kmsg.ApiVersions.Int16(), 99)))
		require.NoError(t, err)
		answer := make([]byte, 10)
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err)
		require.Equal(t, kerr.UnsupportedVersion.Code, int16(binary.BigEndian.Uint16(answer[8:])))
		_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(answer))-6)
		require.NoError(t, err)
	}
}

// throwSpoiled sends requests of every kind with some of their bytes changed, or
// their end missing. What comes back does not matter.
func throwSpoiled(t *testing.T, c *brokertest.C, addr string) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, req := range wrongRequests(c) {
		for range 3 {
			frame := wire.AppendRequest(nil, wire.Header{CorrelationID: 1}, req.req)
			for range 1 + rng.IntN(3) {
				frame[8+rng.IntN(len(frame)-8)] = byte(rng.Uint32())
			}
			if rng.IntN(3) == 0 {
				frame = frame[:8+rng.IntN(len(frame)-8)]
				binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
			}
			conn, err := c.Dial(t.Context(), "tcp", addr)
			require.NoError(t, err)
			_, err = conn.Write(frame)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
			conn.Read(make([]byte, 1))
			require.NoError(t, conn.Close())
		}
	}
}

// throwRequests sends requests that are well formed and wrong.
func throwRequests(t *testing.T, c *brokertest.C, addr string) {
	cl := wire.NewClient(wire.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, "tcp", addr) }})
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	leads := c.Leader("bin", 0).Addr() == addr
	for _, bad := range wrongRequests(c) {
		resp, err := cl.Do(ctx, bad.req)
		require.NoError(t, err, bad.name)
		code := bad.code(resp)
		if bad.atLeader && !leads {
			require.Equal(t, kerr.NotLeaderForPartition, kerr.ErrorForCode(code), bad.name)
			continue
		}
		require.Equal(t, bad.want, kerr.ErrorForCode(code), bad.name)
	}
}

type wrong struct {
	name     string
	req      kmsg.Request
	want     *kerr.Error
	code     func(kmsg.Response) int16
	atLeader bool // who does not lead says that
}

func wrongRequests(c *brokertest.C) []wrong {
	return append(append(wrongProduces(), wrongReads()...), wrongAdmin(c)...)
}

func wrongProduces() (all []wrong) {
	good := func() []byte { return batchtest.NewBatch("a", "b") }
	changed := func(f func(b []byte)) []byte {
		b := good()
		f(b)
		return batchtest.Seal(b)
	}
	crc, short := good(), good()
	crc[len(crc)-1] ^= 1
	for _, x := range []struct {
		name    string
		topic   string
		records []byte
		acks    int16
		want    *kerr.Error
	}{
		{"garbage batch", "bin", bytes.Repeat([]byte("garbage"), 20), -1, kerr.CorruptMessage},
		{"wrong CRC", "bin", crc, -1, kerr.CorruptMessage},
		{"batch cut off", "bin", short[:len(short)-3], -1, kerr.CorruptMessage},
		{"too few counted", "bin", changed(func(b []byte) { b[60] = 1 }), -1, kerr.InvalidRecord},
		{"too many counted", "bin", changed(func(b []byte) { b[60], b[26] = 9, 8 }), -1, kerr.InvalidRecord},
		{"two batches", "bin", append(good(), good()...), -1, kerr.InvalidRecord},
		{"too large", "bin", batchtest.NewBatch(strings.Repeat("x", 3000)), -1, kerr.MessageTooLarge},
		{"acks of 7", "bin", good(), 7, kerr.InvalidRequiredAcks},
		{"unknown topic", "ghosts", good(), -1, kerr.UnknownTopicOrPartition},
	} {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 9, x.acks, 5000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: x.topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: x.records}}}}
		all = append(all, wrong{x.name, req, x.want, func(r kmsg.Response) int16 {
			return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		}, x.topic == "bin" && x.acks == -1})
	}
	return all
}

func wrongReads() []wrong {
	fetch := func(topic string, offset int64) *kmsg.FetchRequest {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxBytes, req.SessionEpoch = 12, 1<<20, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
		req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		return req
	}
	fetched := func(r kmsg.Response) int16 { return r.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode }
	session := fetch("bin", 0)
	session.SessionID, session.SessionEpoch = 424242, 7
	byID := fetch("", 0)
	byID.Version, byID.Topics[0].TopicID = 13, [16]byte{1, 2, 3}
	list := kmsg.NewPtrListOffsetsRequest()
	list.Version = 6
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "ghosts", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}
	future := fetch("bin", 0)
	future.Topics[0].Partitions[0].CurrentLeaderEpoch = 77
	return []wrong{
		{"fetch of an unknown topic", fetch("ghosts", 0), kerr.UnknownTopicOrPartition, fetched, false},
		{"fetch of an unknown id", byID, kerr.UnknownTopicID, fetched, false},
		{"fetch past the end", fetch("bin", 99), kerr.OffsetOutOfRange, fetched, true},
		{"fetch before the start", fetch("bin", -5), kerr.OffsetOutOfRange, fetched, true},
		{"unknown session", session, kerr.FetchSessionIDNotFound, func(r kmsg.Response) int16 { return r.(*kmsg.FetchResponse).ErrorCode }, false},
		{"epoch of the future", future, kerr.UnknownLeaderEpoch, fetched, false},
		{"end of an unknown topic", list, kerr.UnknownTopicOrPartition, func(r kmsg.Response) int16 {
			return r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode
		}, false},
	}
}

func wrongAdmin(c *brokertest.C) (all []wrong) {
	create := func(name string, want *kerr.Error, topic string, partitions int32, rf int16, change ...func(*kmsg.CreateTopicsRequestTopic)) {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis = 7, 10_000
		req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic, NumPartitions: partitions, ReplicationFactor: rf}}
		for _, f := range change {
			f(&req.Topics[0])
		}
		all = append(all, wrong{name, req, want, func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode }, false})
	}
	assigned := func(replicas ...[]int32) func(*kmsg.CreateTopicsRequestTopic) {
		return func(t *kmsg.CreateTopicsRequestTopic) {
			for i, ids := range replicas {
				t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: ids})
			}
		}
	}
	config := func(name, value string) func(*kmsg.CreateTopicsRequestTopic) {
		return func(t *kmsg.CreateTopicsRequestTopic) {
			t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: name, Value: &value}}
		}
	}
	create("bad topic name", kerr.InvalidTopicException, "no spaces", 1, 1)
	create("dots", kerr.InvalidTopicException, "..", 1, 1)
	create("long name", kerr.InvalidTopicException, strings.Repeat("x", 250), 1, 1)
	create("no name", kerr.InvalidTopicException, "", 1, 1)
	create("too many replicas", kerr.InvalidReplicationFactor, "new", 1, 4)
	create("no replicas", kerr.InvalidReplicationFactor, "new", 1, 0)
	create("no partitions", kerr.InvalidPartitions, "new", 0, 1)
	create("topic exists", kerr.TopicAlreadyExists, "bin", 1, 1)
	create("unknown broker assigned", kerr.InvalidReplicaAssignment, "new", -1, -1, assigned([]int32{1, 9}))
	create("broker assigned twice", kerr.InvalidReplicaAssignment, "new", -1, -1, assigned([]int32{1, 1}))
	create("uneven assignment", kerr.InvalidReplicaAssignment, "new", -1, -1, assigned([]int32{1, 2}, []int32{3}))
	create("empty assignment", kerr.InvalidReplicaAssignment, "new", -1, -1, assigned([]int32{}))
	create("assignment and number", kerr.InvalidRequest, "new", 3, 1, assigned([]int32{1}))
	create("unknown config", kerr.InvalidConfig, "new", 1, 1, config("retention.hours", "7"))
	create("config that is no number", kerr.InvalidConfig, "new", 1, 1, config("min.insync.replicas", "many"))

	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.Version, drop.TimeoutMillis, drop.TopicNames = 5, 10_000, []string{"ghosts"}
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Version, elect.Topics = 2, []kmsg.ElectLeadersRequestTopic{{Topic: "ghosts", Partitions: []int32{0}}}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Version, describe.Resources = 4, []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "ghosts"}}
	tx := kmsg.NewPtrInitProducerIDRequest()
	tx.Version, tx.TransactionalID, tx.ProducerID, tx.ProducerEpoch = 4, kmsg.StringPtr("tx"), -1, -1
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version, meta.Topics = 12, []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("bad name")}}
	return append(all,
		wrong{"delete what is not there", drop, kerr.UnknownTopicOrPartition, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode }, false},
		wrong{"elect where nothing is", elect, kerr.UnknownTopicOrPartition, func(r kmsg.Response) int16 { return r.(*kmsg.ElectLeadersResponse).Topics[0].Partitions[0].ErrorCode }, false},
		wrong{"configs of what is not there", describe, kerr.UnknownTopicOrPartition, func(r kmsg.Response) int16 { return r.(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode }, false},
		wrong{"transactional id", tx, kerr.TransactionalIDAuthorizationFailed, func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode }, false},
		wrong{"metadata of a bad name", meta, kerr.InvalidTopicException, func(r kmsg.Response) int16 { return r.(*kmsg.MetadataResponse).Topics[0].ErrorCode }, false},
	)
}

// Nodes talk to each other with Kafka's messages; a stranger who does the same,
// badly, is refused. A second process with a broker's id is one of them.
func TestBadInputBetweenNodes(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		complaints := &complaints{}
		c := brokertest.Start(t, brokersim.Logger(slog.New(complaints)), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		before := c.Snapshot()
		l := startLoad(t, c, "orders")
		for _, port := range []int{9090, 9091} {
			for i := range 3 {
				throwGarbage(t, c, fmt.Sprintf("coordinator-%d:%d", i+1, port))
			}
		}
		throwGarbage(t, c, "broker-1:9090")
		active := c.Coordinator().Active().Name() + ":9090"
		cl := wire.NewClient(wire.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, "tcp", active) }})
		defer cl.Close()

		again := kmsg.NewPtrBrokerRegistrationRequest()
		again.BrokerID, again.IncarnationID, again.ClusterID = 1, [16]byte{9}, clusterID(t, c)
		again.Listeners = []kmsg.BrokerRegistrationRequestListener{{Name: "INTERNAL", Host: "evil", Port: 1}}
		resp, err := cl.Do(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, kerr.DuplicateBrokerRegistration, kerr.ErrorForCode(resp.(*kmsg.BrokerRegistrationResponse).ErrorCode))

		beat := kmsg.NewPtrBrokerHeartbeatRequest()
		beat.BrokerID, beat.BrokerEpoch, beat.WantFence = 1, 1<<40, true
		resp, err = cl.Do(t.Context(), beat)
		require.NoError(t, err)
		require.Equal(t, kerr.StaleBrokerEpoch, kerr.ErrorForCode(resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode))

		time.Sleep(5 * time.Second)
		l.stop()
		require.Empty(t, l.failed)
		l.kept(t)
		after := c.Snapshot()
		require.Equal(t, before.Quorum.Epoch, after.Quorum.Epoch, "no election was caused")
		for i, b := range after.Brokers {
			require.Equal(t, before.Brokers[i], brokersim.BrokerState{ID: b.ID, Rack: b.Rack, Process: b.Process,
				Registration: b.Registration, Epoch: b.Epoch, Offset: before.Brokers[i].Offset})
		}
		require.Empty(t, complaints.about("panicked"))
	})
}

// throwGarbage sends bytes without any sense, with and without the length of a frame.
func throwGarbage(t *testing.T, c *brokertest.C, addr string) {
	rng := rand.New(rand.NewPCG(uint64(len(addr)), 3))
	for i := range 60 {
		garbage := make([]byte, 1+rng.IntN(200))
		for i := range garbage {
			garbage[i] = byte(rng.Uint32())
		}
		switch i % 3 {
		case 0: // what Raft's transport takes for the kind of a message
			garbage[0] = byte(i / 3 % 6)
		case 1:
			garbage = append(binary.BigEndian.AppendUint32(nil, uint32(len(garbage))), garbage...)
		}
		conn, err := c.Dial(t.Context(), "tcp", addr)
		require.NoError(t, err)
		_, err = conn.Write(garbage)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
		conn.Read(make([]byte, 1))
		require.NoError(t, conn.Close())
	}
}

func clusterID(t *testing.T, c *brokertest.C) string {
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), client(t, c))
	require.NoError(t, err)
	return *resp.ClusterID
}

// complaints keeps what nodes warn of.
type complaints struct {
	mu   sync.Mutex
	said []string
}

func (c *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *complaints) WithGroup(string) slog.Handler      { return c }
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %v", a); return true })
	c.said = append(c.said, b.String())
	return nil
}

func (c *complaints) about(word string) (some []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.said {
		if strings.Contains(s, word) {
			some = append(some, s)
		}
	}
	return some
}
