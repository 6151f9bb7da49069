package bench

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// How long does nobody read what a crashed member owned? Three franz-go consumers of
// three partitions under a load of one record a millisecond, TCP; one member's connections
// break and it says no more. The time runs to when another member is handed the first
// record of each partition that it owned. Nothing can be sooner than the session, less the age
// of the last heartbeat, and others hear of the rebalance with their next one:
// excess-ms is what comes on top of session and one heartbeat interval.
func BenchmarkMemberCrash(b *testing.B) {
	const session, heartbeat = time.Second, 100 * time.Millisecond
	c := brokertest.Start(b, brokersim.Topic(topic, 3, 2), brokersim.BrokerConfig("group.min.session.timeout.ms=1000"))
	l := startLoad(b, c, tuned()...)
	r := &readers{tb: b, cluster: c, session: session, heartbeat: heartbeat, news: make(chan struct{}, 1), seen: map[int32]sighting{}}
	for range 3 {
		r.join()
	}
	var took []time.Duration
	for b.Loop() {
		r.settle(3)
		victim := r.all[0]
		r.all = r.all[1:]
		crash := time.Now()
		victim.cut()
		took = append(took, r.takenOver(victim, crash).Sub(crash))

		b.StopTimer()
		victim.close()
		r.join()
		l.forget()
		b.StartTimer()
	}
	for _, m := range r.all {
		m.close()
	}
	l.close(b)
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(quantile(took, 0.5)), "p50-ms")
	b.ReportMetric(ms(took[len(took)-1]-session-heartbeat), "excess-max-ms")
	b.ReportMetric(ms(quantile(took, 0.5)-session-heartbeat), "excess-p50-ms")
}

// readers are the members of a group, and what each partition's newest reader is.
type readers struct {
	tb                 testing.TB
	cluster            *brokertest.C
	session, heartbeat time.Duration
	all                []*reader
	news               chan struct{} // one slot

	mu   sync.Mutex
	seen map[int32]sighting
}

// A sighting is a record that a reader was handed.
type sighting struct {
	by *reader
	at time.Time
}

// A reader is one member.
type reader struct {
	client *kgo.Client
	wg     sync.WaitGroup

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func (r *readers) join() {
	m := &reader{}
	m.client = newClient(r.tb, r.cluster, append(tuned(),
		kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			return m.dial(ctx, r.cluster, network, addr)
		}),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.SessionTimeout(r.session), kgo.HeartbeatInterval(r.heartbeat))...)
	r.all = append(r.all, m)
	m.wg.Go(func() {
		for {
			fetches := m.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(rec *kgo.Record) { r.saw(rec.Partition, m) })
		}
	})
}

func (r *readers) saw(partition int32, by *reader) {
	r.mu.Lock()
	if r.seen[partition].by != by {
		r.seen[partition] = sighting{by, time.Now()}
	}
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// settle waits until each partition is read, by so many different members that are alive.
func (r *readers) settle(members int) {
	r.await(func(seen map[int32]sighting) bool {
		by := map[*reader]bool{}
		for _, s := range seen {
			by[s.by] = slices.Contains(r.all, s.by)
		}
		return len(seen) == 3 && len(by) == members && !slices.Contains(slices.Collect(maps.Values(by)), false)
	})
}

// takenOver waits until others read everything that the victim owned, and returns since when.
func (r *readers) takenOver(victim *reader, crash time.Time) (last time.Time) {
	r.await(func(seen map[int32]sighting) bool {
		last = crash
		for _, s := range seen {
			if s.by == victim {
				return false
			}
			if s.at.After(last) {
				last = s.at
			}
		}
		return true
	})
	require.True(r.tb, last.After(crash))
	return last
}

func (r *readers) await(done func(map[int32]sighting) bool) {
	deadline := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		ok := done(r.seen)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.news:
		case <-deadline:
			require.FailNow(r.tb, "the group's partitions are not read")
		}
	}
}

func (m *reader) dial(ctx context.Context, c *brokertest.C, network, addr string) (net.Conn, error) {
	conn, err := c.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	m.conns = append(m.conns, conn)
	return conn, nil
}

// cut breaks every connection for good, so that no goodbye is sent.
func (m *reader) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, conn := range m.conns {
		_ = conn.Close()
	}
}

func (m *reader) close() {
	m.client.Close()
	m.wg.Wait()
}
