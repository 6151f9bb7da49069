package clients

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

const (
	topic      = "orders"
	partitions = 3
	group      = "billing"
	session    = 3 * time.Second
	beat       = 100 * time.Millisecond
)

// A join has somebody join the group, who reads and commits until it leaves.
type join func(t *testing.T, s seat) (leave func())

// A seat is what a member is given.
type seat struct {
	name     string // its client id
	instance string // of a static member
	addrs    []string
	line     *lifeline
	note     func(record string)
}

var joins = map[string]join{
	"franz-go, cooperative": joinFranz(),
	"franz-go, range":       joinFranz(kgo.Balancers(kgo.RangeBalancer())),
	"sarama 0.11":           joinSarama(sarama.V0_11_0_0, sarama.NewBalanceStrategyRange()),
	"sarama, its default":   joinSarama(sarama.DefaultVersion, sarama.NewBalanceStrategyRange()),
	"sarama, newest":        joinSarama(sarama.MaxVersion, sarama.NewBalanceStrategySticky()),
	"kafka-go":              joinKafkaGo,
}

// Members come, leave and die, and so does the group's broker: every partition has one
// reader again, nothing is left unread, and who comes later begins where the group was.
func TestAGroupWhoseMembersComeAndGo(t *testing.T) {
	for client, join := range joins {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, join)
			a := h.sit("a")
			h.given(map[string]int{"a": 3})
			h.write(30)
			h.read()

			b := h.sit("b")
			h.shared("a", "b")
			b.leave()
			h.given(map[string]int{"a": 3})

			d := h.sit("d")
			h.shared("a", "d")
			d.line.cut()
			h.given(map[string]int{"a": 3})

			require.NoError(t, h.broker().Kill())
			h.write(30)
			h.read()
			h.given(map[string]int{"a": 3})
			a.leave()
			h.given(map[string]int{})
			h.committed()

			before := h.noted()
			h.write(6)
			h.sit("e")
			h.read()
			require.Equal(t, before+6, h.noted(), "it goes on where the group was")
		})
	}
}

// A static member that comes back in time is given what it had, and no other member
// notices: the generation is the same.
func TestAStaticMemberComesBack(t *testing.T) {
	for _, client := range []string{"franz-go, range", "sarama, newest"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, joins[client])
			h.sitAs("a", "first")
			b := h.sitAs("b", "second")
			h.shared("a", "b")
			h.write(30)
			h.read()
			was := h.describe()
			b.line.cut()
			h.sitAs("b2", "second")
			h.shared("a", "b2")
			require.Equal(t, memberOf(was, "a"), memberOf(h.describe(), "a"))
			h.write(30)
			h.read()
		})
	}
}

// A house is a cluster with a group in it.
type house struct {
	t    *testing.T
	c    *brokersim.Cluster
	join join
	kgo  *kgo.Client
	adm  *kadm.Client

	mu      sync.Mutex
	written int
	seen    map[string]int
}

type member struct {
	seat
	leave func()
}

func newHouse(t *testing.T, join join) *house {
	c, err := brokersim.New(t.Context(), brokersim.Topic(topic, partitions, 3, "min.insync.replicas=2"),
		brokersim.BrokerConfig("group.min.session.timeout.ms=1000"))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic(topic), kgo.MetadataMinAge(beat))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return &house{t: t, c: c, join: join, kgo: cl, adm: kadm.NewClient(cl), seen: map[string]int{}}
}

func (h *house) sit(name string) member { return h.sitAs(name, "") }

func (h *house) sitAs(name, instance string) member {
	s := seat{name: name, instance: instance, addrs: h.c.Addrs(), line: &lifeline{}, note: h.note}
	leave := sync.OnceFunc(h.join(h.t, s))
	h.t.Cleanup(leave)
	return member{s, leave}
}

func (h *house) note(record string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[record]++
}

// noted is how many records were read, each time counted.
func (h *house) noted() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, times := range h.seen {
		n += times
	}
	return n
}

// write writes n records, spread over the partitions.
func (h *house) write(n int) {
	for range n {
		r := &kgo.Record{Key: fmt.Append(nil, h.written), Value: fmt.Append(nil, "order ", h.written)}
		h.kgo.Produce(h.t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				h.t.Errorf("write: %v", err)
			}
		})
		h.written++
	}
	require.NoError(h.t, h.kgo.Flush(h.t.Context()))
}

// read waits until everything that was written has been read.
func (h *house) read() {
	h.until("all is read", func() (bool, any) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.seen) == h.written, len(h.seen)
	})
}

// given waits until the group is settled and its members have so many partitions.
func (h *house) given(want map[string]int) {
	h.until(fmt.Sprint("given ", want), func() (bool, any) {
		d := h.describe()
		got := map[string]int{}
		for name, ps := range assignment(d) {
			got[name] = len(ps)
		}
		return (d.State == "Stable" || len(want) == 0 && d.State == "Empty") && fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprint(d.State, got)
	})
}

// shared waits until these members share the partitions.
func (h *house) shared(names ...string) {
	h.until(fmt.Sprint("shared by ", names), func() (bool, any) {
		d := h.describe()
		a := assignment(d)
		var all []int32
		for _, name := range names {
			all = append(all, a[name]...)
		}
		slices.Sort(all)
		return d.State == "Stable" && len(a) == len(names) && slices.Equal(all, []int32{0, 1, 2}) && !slices.ContainsFunc(names, func(n string) bool { return len(a[n]) == 0 }),
			fmt.Sprint(d.State, a)
	})
}

// committed waits until the group has committed all that was written.
func (h *house) committed() {
	h.until("all is committed", func() (bool, any) {
		os, err := h.adm.FetchOffsets(h.t.Context(), group)
		if err != nil {
			return false, err
		}
		sum := int64(0)
		os.Each(func(o kadm.OffsetResponse) { sum += o.At })
		return sum == int64(h.written), sum
	})
}

// broker is the group's broker.
func (h *house) broker() *brokersim.Broker { return h.c.Broker(h.describe().Coordinator.NodeID) }

func (h *house) describe() kadm.DescribedGroup {
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Second)
	defer cancel()
	ds, err := h.adm.DescribeGroups(ctx, group)
	if err != nil {
		return kadm.DescribedGroup{}
	}
	return ds[group]
}

// assignment is which partitions each member was given, by client id.
func assignment(d kadm.DescribedGroup) map[string][]int32 {
	a := map[string][]int32{}
	for _, m := range d.Members {
		a[m.ClientID] = []int32{}
		if c, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range c.Topics {
				a[m.ClientID] = append(a[m.ClientID], t.Partitions...)
			}
		}
	}
	return a
}

// memberOf is a member's id, and what it has.
func memberOf(d kadm.DescribedGroup, name string) string {
	for _, m := range d.Members {
		if m.ClientID == name {
			return fmt.Sprint(m.MemberID, assignment(d)[name])
		}
	}
	return ""
}

func (h *house) until(what string, done func() (bool, any)) {
	h.t.Helper()
	var last any
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ok, is := done()
		if ok {
			return
		}
		last = is
	}
	require.FailNow(h.t, what, "it is %v", last)
}
