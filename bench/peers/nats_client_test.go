package peers

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// pending is how many messages of a NATS client may be unacknowledged: as many as
// kgo buffers records, instead of NATS's own 4,000.
const pending = 10_000

func streamName(i int) string { return fmt.Sprintf("orders-%d", i) }

func (n *natsCluster) createStreams(tb testing.TB) {
	p := n.connect(tb)
	defer p.close()
	for i := range n.streams {
		create(tb, p.js, jetstream.StreamConfig{
			Name: streamName(i), Subjects: []string{streamName(i)}, Storage: n.storage, Replicas: n.replicas,
		})
	}
}

// create creates a stream as soon as the servers let it: right after their start there may
// be too few of them that are known to be there.
func create(tb testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) {
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err = js.CreateOrUpdateStream(ctx, cfg)
		cancel()
		if err == nil {
			return
		}
	}
	require.NoError(tb, err)
}

func (n *natsCluster) requireRecords(tb testing.TB, records int64) {
	p := n.connect(tb)
	defer p.close()
	require.Eventually(tb, func() bool {
		sum, lagging := int64(0), false
		for i := range n.streams {
			s, err := p.js.Stream(context.Background(), streamName(i))
			require.NoError(tb, err)
			info := s.CachedInfo()
			sum += int64(info.State.Msgs)
			for _, r := range info.Cluster.Replicas {
				lagging = lagging || r.Lag > 0
			}
		}
		return sum == records && !lagging
	}, 30*time.Second, 20*time.Millisecond)
}

func (n *natsCluster) producer(tb testing.TB) producer { return n.connect(tb) }

// natsProducer sends to one stream after the other.
type natsProducer struct {
	conn     *natsgo.Conn
	js       jetstream.JetStream
	subjects []string
	next     int
	failed   atomic.Pointer[error]
}

func (n *natsCluster) connect(tb testing.TB) *natsProducer {
	conn, err := natsgo.Connect(strings.Join(n.urls, ","))
	require.NoError(tb, err)
	p := &natsProducer{conn: conn}
	p.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(pending),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *natsgo.Msg, err error) { p.failed.Store(&err) }))
	require.NoError(tb, err)
	for i := range n.streams {
		p.subjects = append(p.subjects, streamName(i))
	}
	return p
}

func (p *natsProducer) close() { p.conn.Close() }

func (p *natsProducer) subject() string {
	p.next++
	return p.subjects[p.next%len(p.subjects)]
}

func (p *natsProducer) send(value []byte, records int) error {
	for range records {
		if _, err := p.js.PublishAsync(p.subject(), value, jetstream.WithStallWait(time.Minute)); err != nil {
			return err
		}
	}
	select {
	case <-p.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		return fmt.Errorf("%d of %d messages were never acknowledged", p.js.PublishAsyncPending(), records)
	}
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *natsProducer) one(value []byte) error {
	_, err := p.js.Publish(context.Background(), p.subject(), value)
	return err
}
