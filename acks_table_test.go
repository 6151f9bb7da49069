package brokersim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// A promise is a row of README's table "What an ack survives": a setting, and for each crash
// whether the ack survives it.
type promise struct {
	name    string
	acks    kgo.Acks
	minISR  int
	configs []string
	wait    time.Duration // between the acks and the crash
	yes     string        // the crashes that it survives
}

var promises = []promise{
	{name: "acks=0", acks: kgo.NoAck(), minISR: 2},
	{name: "acks=1", acks: kgo.LeaderAck(), minISR: 2},
	{name: "all, min ISR 1", acks: kgo.AllISRAcks(), minISR: 1, yes: "killed stopped full"},
	{name: "all, min ISR 1, flush.messages=1", acks: kgo.AllISRAcks(), minISR: 1, configs: []string{"flush.messages=1"}, yes: "killed stopped full power-1 power"},
	{name: "all, min ISR 2", acks: kgo.AllISRAcks(), minISR: 2, yes: "killed stopped full power-1 disk-1"},
	{name: "all, min ISR 2, flush.ms", acks: kgo.AllISRAcks(), minISR: 2, configs: []string{"flush.ms=100"}, wait: 200 * time.Millisecond, yes: "killed stopped full power-1 disk-1 power"},
	{name: "all, min ISR 2, flush.messages=1", acks: kgo.AllISRAcks(), minISR: 2, configs: []string{"flush.messages=1"}, yes: "killed stopped full power-1 disk-1 power"},
}

// crashes are the columns: what befalls the brokers that run.
var crashes = map[string]func(t *testing.T, leader *brokersim.Broker, all []*brokersim.Broker){
	"killed": func(t *testing.T, _ *brokersim.Broker, all []*brokersim.Broker) {
		each(t, all, (*brokersim.Broker).Kill)
	},
	"stopped": func(_ *testing.T, _ *brokersim.Broker, all []*brokersim.Broker) {
		for _, b := range all {
			_ = b.Stop() // nobody can take over from the last one
		}
	},
	"power": func(t *testing.T, _ *brokersim.Broker, all []*brokersim.Broker) {
		each(t, all, (*brokersim.Broker).PowerOff)
	},
	"power-1": func(t *testing.T, leader *brokersim.Broker, _ []*brokersim.Broker) {
		require.NoError(t, leader.PowerOff())
	},
	"disk-1": func(t *testing.T, leader *brokersim.Broker, _ []*brokersim.Broker) {
		require.NoError(t, leader.Kill())
		require.NoError(t, leader.Wipe())
	},
	"disk-1 rots": func(t *testing.T, leader *brokersim.Broker, _ []*brokersim.Broker) {
		require.NoError(t, leader.Kill())
		flip(t, brokersim.FilesOf(leader), ordersLog, 0.5)
	},
	"full": func(t *testing.T, _ *brokersim.Broker, all []*brokersim.Broker) {
		for _, b := range all {
			brokersim.FaultsOf(b).Inject(vfs.Fault{Ops: needsRoom, Err: errNoRoom, Keep: 9})
		}
	},
}

var errNoRoom = errors.New("no space left on device")

func each(t *testing.T, all []*brokersim.Broker, lose func(*brokersim.Broker) error) {
	for _, b := range all {
		require.NoError(t, lose(b))
	}
}

// Every cell of the table, in the worst case that the setting allows: of the replicas, as
// few are in sync as it takes for the ack. On real files, which lose all that was not
// synced, a cell without a promise is seen to lose something.
func TestWhatAnAckSurvives(t *testing.T) {
	for _, p := range promises {
		for crash, befall := range crashes {
			column, _, _ := strings.Cut(crash, " ")
			promised := strings.Contains(" "+p.yes+" ", " "+column+" ")
			for _, kind := range diskKinds {
				if kind == "memory" && !promised {
					continue // by luck it may keep everything
				}
				if kind == "files" && promised && !strings.HasPrefix(column, "power") && !filesToo() {
					continue // real files differ in what they lose without power
				}
				t.Run(fmt.Sprintf("%s/%s/%s", p.name, crash, kind), func(t *testing.T) {
					configs := append(p.configs, fmt.Sprint("min.insync.replicas=", p.minISR))
					onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
						acked := p.write(t, c)
						time.Sleep(p.wait)
						befall(t, c.Leader("orders", 0), running(c))
						lost := lostAfter(t, c, acked)
						if promised {
							require.Empty(t, lost, "of %d", len(acked))
						} else {
							require.NotEmpty(t, lost, "the table promises too little")
						}
					}, brokersim.Topic("orders", 1, 3, configs...))
				})
			}
		}
	}
}

func running(c *brokertest.C) (all []*brokersim.Broker) {
	for _, b := range c.Brokers() {
		if b.Process().Up() {
			all = append(all, b)
		}
	}
	return all
}

// write has records acked by no more replicas than it takes. What needs no replica but the
// leader is written to one that is cut off, until another leads.
func (p promise) write(t *testing.T, c *brokertest.C) (acked []string) {
	t.Helper()
	leader, followers := c.Leader("orders", 0), c.Followers("orders", 0)
	cl := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(p.acks), kgo.DisableIdempotentWrite())
	produce(t, cl, "all of them have this")
	c.Must(brokersim.Replicated("orders", 0, 1))
	if p.acks == kgo.AllISRAcks() {
		for _, b := range followers[p.minISR-1:] {
			require.NoError(t, b.Kill())
			c.Must(brokersim.NotInISR("orders", 0, b.ID()))
		}
	} else {
		leader.Isolate()
	}
	acked = values("acked", 20)
	for _, v := range acked {
		produce(t, cl, v)
	}
	if p.acks != kgo.AllISRAcks() {
		c.Must(brokersim.NewLeader("orders", 0, leader.ID()))
	}
	return acked
}

// lostAfter starts everybody again, and returns what of acked is not there.
func lostAfter(t *testing.T, c *brokertest.C, acked []string) (lost []string) {
	t.Helper()
	time.Sleep(3 * time.Second) // sessions end, full disks are found out
	for _, b := range c.Brokers() {
		brokersim.FaultsOf(b).HealAll()
	}
	c.Heal()
	for _, b := range c.Brokers() {
		if !b.Process().Up() {
			require.NoError(t, b.Start())
		}
	}
	c.Must(brokersim.FullISR())
	produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "the end")
	there := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := client(t, c, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for !there["the end"] {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err0())
		fetches.EachRecord(func(r *kgo.Record) { there[string(r.Value)] = true })
	}
	for _, v := range acked {
		if !there[v] {
			lost = append(lost, v)
		}
	}
	return lost
}
